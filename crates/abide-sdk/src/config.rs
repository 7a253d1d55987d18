//! The configuration of the behaviour: named texts that the manifest gives, the same for every act until it is changed.

/// The value of a key; none where it is not set.
///
/// # Errors
/// Where the host cannot read its configuration. Hand it on with `?`: the act is denied with these words.
pub fn get(key: &str) -> Result<Option<String>, String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::wasi::config::store::get(key)
        .map_err(|error| format!("configuration `{key}`: {error:?}"));
    #[cfg(not(target_arch = "wasm32"))]
    return Ok(native::get(key));
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::with;

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::cell::RefCell;

    thread_local! {
        static VALUES: RefCell<Vec<(String, String)>> = const { RefCell::new(Vec::new()) };
    }

    /// Runs a test with these keys and values, and no others. Only natively: on a host, the manifest gives them.
    ///
    /// ```
    /// use abide_sdk::config;
    ///
    /// let reserve = config::with(&[("reserve", "48")], || config::get("reserve"));
    /// assert_eq!(reserve, Ok(Some("48".to_owned())));
    /// assert_eq!(config::get("reserve"), Ok(None));
    /// ```
    pub fn with<T>(values: &[(&str, &str)], test: impl FnOnce() -> T) -> T {
        let owned = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let _restored = Restored(VALUES.replace(owned));
        test()
    }

    pub(super) fn get(key: &str) -> Option<String> {
        VALUES.with_borrow(|values| {
            values.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
        })
    }

    /// What was set before comes back, also when the test panics.
    struct Restored(Vec<(String, String)>);

    impl Drop for Restored {
        fn drop(&mut self) {
            VALUES.set(core::mem::take(&mut self.0));
        }
    }
}

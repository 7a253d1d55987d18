//! Who a host is to a registry.

use std::collections::BTreeMap;
use std::fmt;

/// Who a host is to a registry: a name with a password, or a token alone. Its secrets are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credential {
    /// The name.
    pub username: Option<String>,
    /// The password of the name. Registries take a personal access token for it as well.
    pub password: Option<String>,
    /// A token that the registry takes as it is (`Authorization: Bearer`). A name with a password goes before it.
    pub token: Option<String>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| format_args!("_"));
        f.debug_struct("Credential")
            .field("username", &self.username)
            .field("password", &hidden(&self.password))
            .field("token", &hidden(&self.token))
            .finish()
    }
}

/// What a credential amounts to.
#[derive(Clone, Copy)]
pub(crate) enum Identity<'a> {
    Nobody,
    Named { username: &'a str, password: &'a str },
    Token(&'a str),
}

impl Credential {
    /// What it amounts to, or why that is nothing.
    pub(crate) fn identity(&self) -> Result<Identity<'_>, &'static str> {
        let given = |field: &'_ Option<String>| field.as_ref().is_some_and(|text| !text.is_empty());
        match (&self.username, &self.password, &self.token) {
            (Some(username), Some(password), _) if given(&self.username) => {
                Ok(Identity::Named { username, password })
            }
            (_, _, Some(token)) if given(&self.token) => Ok(Identity::Token(token)),
            _ if given(&self.username) => Err("a name without a password or a token"),
            _ if given(&self.password) => Err("a password without a name"),
            _ => Ok(Identity::Nobody),
        }
    }
}

/// A registry's name as its host is looked up by: without the scheme that some write before it, in lower case, and Docker Hub by
/// one of its names.
pub(crate) fn registry_name(written: &str) -> String {
    let name = written.trim();
    let name = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
    let name = name.split('/').next().unwrap_or(name).to_ascii_lowercase();
    match name.as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        _ => name,
    }
}

/// Credentials by the names that [`registry_name`] gives.
pub(crate) fn by_registry(credentials: BTreeMap<String, Credential>) -> BTreeMap<String, Credential> {
    credentials.into_iter().map(|(registry, credential)| (registry_name(&registry), credential)).collect()
}

//! What wit-bindgen makes of the packages that every schema refers to.

abide_sdk_macros::object!();

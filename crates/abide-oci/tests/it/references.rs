//! How references are written. Nobody is asked for one that is none.

use abide_oci::{FetchError, Options, Registries};
use tempfile::TempDir;

const SHA: &str = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

#[test]
fn what_is_no_reference_is_refused() {
    let capitals = SHA.to_ascii_uppercase().replace("SHA256", "sha256");
    for (reference, said) in [
        ("", "no registry"),
        ("guard:1.0.0", "no registry"),
        ("garden/guard:1.0.0", "no registry"),
        ("https://ghcr.io/garden/guard:1.0.0", "invalid reference format"),
        ("file:///guard.wasm", "invalid reference format"),
        ("oci://oci://ghcr.io/garden/guard:1.0.0", "invalid reference format"),
        ("ghcr.io/Garden/guard:1.0.0", "invalid reference format"),
        ("ghcr.io/garden/../guard:1.0.0", "invalid reference format"),
        ("ghcr.io/garden/guard:1.0.0?x=y", "invalid reference format"),
        ("ghcr.io/garden/guard:1.0 0", "invalid reference format"),
        ("ghcr.io/garden/guard:", "invalid reference format"),
        ("ghcr.io/garden/guard@sha256:2c26", "invalid reference format"),
        ("robin@ghcr.io/garden/guard:1.0.0", "invalid reference format"),
        (&format!("ghcr.io/garden/guard@{}", &SHA[..SHA.len() - 1]), "length"),
        (&format!("ghcr.io/garden/guard@{capitals}"), "no SHA-256 in lower case"),
        (&format!("ghcr.io/garden/guard@sha512:{}", "0".repeat(128)), "no SHA-256 in lower case"),
    ] {
        let error = fetch(reference);
        assert!(matches!(error, FetchError::Reference { .. }), "{reference}: {error}");
        assert!(error.to_string().contains(said), "{reference}: {error}");
    }
}

#[test]
fn what_an_error_repeats_is_one_line_of_bounded_length() {
    let error = fetch(&format!("ghcr.io/\n\u{1b}[2J{}", "a".repeat(9_999))).to_string();
    assert!(!error.contains(char::is_control), "{error}");
    assert!(error.chars().count() < 400, "{error}");
}

#[test]
fn a_reference_without_a_version_is_read_and_then_refused() {
    for reference in
        ["ghcr.io/garden/guard", "oci://ghcr.io/garden/guard:latest", "localhost/guard", "GHCR.io:443/guard"]
    {
        assert!(matches!(fetch(reference), FetchError::Latest { .. }), "{reference}");
    }
}

fn fetch(reference: &str) -> FetchError {
    let cache = TempDir::new().unwrap();
    Registries::new(Options::new(cache.path())).unwrap().fetch(reference).unwrap_err()
}

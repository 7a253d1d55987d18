//! Registries that break, lie or say nothing. None of them leaves anything in the cache.

use std::time::Duration;

use abide_oci::{FetchError, Options, Registries, Timeouts};

use crate::registry::{Fault, Guard};
use crate::support::{Bench, WASM, digest, manifest};

const IMAGE: &[u8] = b"an image of some length";

#[test]
fn what_the_registry_answers_is_told() {
    type Kind = fn(&FetchError) -> bool;
    let not_found: Kind = |error| matches!(error, FetchError::NotFound { .. });
    let unauthorized: Kind = |error| matches!(error, FetchError::Unauthorized { .. });
    let no_answer: Kind = |error| matches!(error, FetchError::NoAnswer { .. });
    let refused: Kind = |error| matches!(error, FetchError::Refused { .. });
    let denied = r#"{"errors":[{"code":"DENIED","message":"not\nfor you"}]}"#;
    let busy = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slowly"}]}"#;
    for (status, body, kind, said) in [
        (404, "", not_found, "404"),
        (401, "", unauthorized, "401"),
        (403, "keep out", unauthorized, "keep out"),
        (403, denied, unauthorized, "not for you"),
        (429, "", no_answer, "429"),
        (429, busy, no_answer, "slowly"),
        (500, "oh", no_answer, "it answers 500: oh"),
        (503, "", no_answer, "503"),
        (418, "short and stout", refused, "short and stout"),
    ] {
        for fault in [Fault::Status(status, body), Fault::BlobStatus(status, body)] {
            let error = failure(fault, Timeouts::default());
            assert!(kind(&error), "{status}: {error:?}");
            let text = error.to_string();
            assert!(text.contains(said) && text.contains("garden/guard:1.0.0"), "{status}: {text}");
            assert!(text.starts_with("`127.0.0.1:"), "it names the registry: {text}");
        }
    }
}

#[test]
fn an_unknown_tag_is_not_found() {
    let bench = Bench::with_image(IMAGE);
    let error = bench.host().fetch(&bench.registry.reference(":9.9.9")).unwrap_err();
    assert!(matches!(error, FetchError::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("it is unknown"), "{error}");
}

#[test]
fn a_registry_that_hangs_up_does_not_answer() {
    let error = failure(Fault::HangsUp, Timeouts::default());
    assert!(matches!(error, FetchError::NoAnswer { .. }), "{error}");
}

#[test]
fn a_registry_that_is_not_there_does_not_answer() {
    let bench = Bench::new();
    // Nobody listens on it: it is for no service, and only the system may.
    let options = Options { insecure: vec!["127.0.0.1:1".into()], ..bench.options() };
    let error = Registries::new(options).unwrap().fetch("127.0.0.1:1/garden/guard:1.0.0").unwrap_err();
    assert!(matches!(error, FetchError::NoAnswer { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn silence_is_not_waited_for() {
    let idle = Timeouts { idle: SHORT, ..Timeouts::default() };
    for fault in [Fault::Silent, Fault::StalledBlob] {
        let error = failure(fault, idle);
        let FetchError::NoAnswer { why, .. } = error else { panic!("{error}") };
        assert_eq!(why, "nothing came for 300ms");
    }
}

#[test]
fn a_fetch_ends_however_slow_the_registry_is() {
    let manifest = Timeouts { manifest: SHORT, ..Timeouts::default() };
    let overall = Timeouts { overall: SHORT, ..Timeouts::default() };
    // Some of it comes all the time, for longer than it may.
    for (fault, timeouts) in
        [(Fault::Silent, manifest), (Fault::Silent, overall), (Fault::DrippingBlob, overall)]
    {
        let image = vec![7; 1_000];
        let error = failure_of(&image, fault, timeouts);
        let FetchError::NoAnswer { why, .. } = error else { panic!("{error}") };
        assert_eq!(why, "it was not done within 300ms");
    }
}

#[test]
fn a_registry_that_is_not_named_is_asked_over_tls_alone() {
    let bench = Bench::with_image(IMAGE);
    let host = Registries::new(Options { insecure: vec!["127.0.0.1".into()], ..bench.options() }).unwrap();
    let error = host.fetch(&bench.registry.reference(":1.0.0")).unwrap_err();
    assert!(matches!(error, FetchError::NoAnswer { .. }), "{error}");
    assert!(error.to_string().contains("--allowed-insecure"), "{error}");
    assert!(bench.registry.take_requests().iter().all(|request| request.path.is_empty()), "in the clear");
}

#[test]
fn other_bytes_than_the_manifest_names_are_refused() {
    let mut other = IMAGE.to_vec();
    other[0] ^= 1;
    for fault in [Fault::Blob(other.clone()), Fault::UnboundedBlob(other.clone())] {
        let error = failure(fault, Timeouts::default());
        let FetchError::Digest { part: "layer", expected, found, .. } = error else { panic!("{error}") };
        assert_eq!((expected, found), (digest(IMAGE), digest(&other)));
    }
}

#[test]
fn a_manifest_with_the_digest_of_another_is_refused() {
    let error = failure(Fault::ManifestDigest, Timeouts::default());
    let FetchError::Digest { part: "manifest", found, .. } = error else { panic!("{error}") };
    assert_eq!(found, digest(&manifest(&[(WASM, IMAGE)])));
}

#[test]
fn more_or_fewer_bytes_than_the_manifest_says_are_refused() {
    let (short, long) = (&IMAGE[..IMAGE.len() - 1], [IMAGE, b"!"].concat());
    for (fault, said) in [
        (Fault::Blob(short.to_vec()), "22 bytes"),
        (Fault::UnboundedBlob(short.to_vec()), "22 bytes"),
        (Fault::Blob(long.clone()), "24 bytes"),
        (Fault::UnboundedBlob(long), "more"),
    ] {
        let error = failure(fault, Timeouts::default());
        let FetchError::Length { expected: 23, found, .. } = error else { panic!("{error}") };
        assert_eq!(found, said);
    }
}

#[test]
fn a_connection_that_breaks_amid_a_blob_is_no_answer() {
    let error = failure(Fault::BrokenBlob, Timeouts::default());
    assert!(matches!(error, FetchError::NoAnswer { .. }), "{error}");
}

#[test]
fn too_large_an_image_is_not_asked_for() {
    let bench = Bench::with_image(IMAGE);
    let reference = bench.registry.reference(":1.0.0");
    let host = |image_max_bytes| Registries::new(Options { image_max_bytes, ..bench.options() }).unwrap();
    let error = host(22).fetch(&reference).unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { part: "layer", bytes: 23, most: 22, .. }), "{error}");
    assert!(!bench.registry.take_requests().iter().any(|request| request.path.contains("/blobs/")));
    assert_eq!(host(23).fetch(&reference).unwrap(), IMAGE);
}

#[test]
fn what_comes_of_an_image_is_bounded_by_what_the_manifest_says() {
    let bench = Bench::with_image(IMAGE);
    // It would not end before the host's memory does.
    bench.registry.fault(Fault::EndlessBlob);
    let error = bench.host().fetch(&bench.registry.reference(":1.0.0")).unwrap_err();
    assert!(matches!(error, FetchError::Length { .. }), "{error}");
}

#[test]
fn too_large_a_manifest_is_refused() {
    let mut large = manifest(&[(WASM, IMAGE)]);
    large.resize((4 << 20) + 1, b' ');
    let error = failure(Fault::Manifest(large), Timeouts::default());
    assert!(matches!(error, FetchError::TooLarge { part: "manifest", .. }), "{error}");
}

#[test]
fn tokens_that_are_none_are_refused() {
    for token in ["", "{}", "[1]", r#"{"token":"two\nlines"}"#, r#"{"token":"\u0000"}"#] {
        let bench = Bench::with_image(IMAGE);
        bench.registry.guard(Guard::Bearer);
        bench.registry.fault(Fault::Token(token));
        let error = bench.host().fetch(&bench.registry.reference(":1.0.0")).unwrap_err();
        assert!(matches!(error, FetchError::Refused { .. }), "{token}: {error}");
    }
}

const SHORT: Duration = Duration::from_millis(300);

/// What comes of fetching from a registry with a fault.
fn failure(fault: Fault, timeouts: Timeouts) -> FetchError {
    failure_of(IMAGE, fault, timeouts)
}

fn failure_of(image: &[u8], fault: Fault, timeouts: Timeouts) -> FetchError {
    let bench = Bench::with_image(image);
    bench.registry.fault(fault);
    let host = Registries::new(Options { timeouts, ..bench.options() }).unwrap();
    let error = host.fetch(&bench.registry.reference(":1.0.0")).unwrap_err();
    assert_eq!(bench.files(), [""; 0].map(std::path::PathBuf::from), "{error}");
    error
}

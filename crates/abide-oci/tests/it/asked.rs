//! When the registry is asked, and when the cache answers for it.

use abide_oci::{FetchError, Options, Registries};

use crate::registry::Fault;
use crate::support::{Bench, digest, manifest};

#[test]
fn an_image_is_fetched_by_its_tag() {
    let bench = Bench::with_image(b"first");
    assert_eq!(bench.host().fetch(&bench.registry.reference(":1.0.0")).unwrap(), b"first");
    assert_eq!(
        bench.host().fetch(&format!("oci://{}", bench.registry.reference(":1.0.0"))).unwrap(),
        b"first"
    );
}

#[test]
fn a_cached_tag_never_needs_the_registry() {
    let bench = Bench::with_image(b"first");
    let reference = bench.registry.reference(":1.0.0");
    bench.host().fetch(&reference).unwrap();

    bench.push("1.0.0", b"second");
    let connections = bench.registry.connections();
    assert_eq!(bench.host().fetch(&reference).unwrap(), b"first");
    assert_eq!(bench.registry.connections(), connections, "the registry was asked");
}

#[test]
fn a_cached_image_is_fetched_when_the_registry_is_gone() {
    let Bench { registry, cache } = Bench::with_image(b"first");
    let (tag, pinned) = (registry.reference(":1.0.0"), registry.reference(&at(b"first")));
    let options = Options { insecure: vec![registry.address.clone()], ..Options::new(cache.path()) };
    Registries::new(options.clone()).unwrap().fetch(&tag).unwrap();

    drop(registry);
    let host = Registries::new(options).unwrap();
    assert_eq!(host.fetch(&tag).unwrap(), b"first");
    assert_eq!(host.fetch(&pinned).unwrap(), b"first");
}

#[test]
fn what_is_not_cached_needs_the_registry() {
    let bench = Bench::with_image(b"first");
    let host = bench.host();
    host.fetch(&bench.registry.reference(":1.0.0")).unwrap();
    bench.registry.fault(Fault::HangsUp);
    for version in [":1.0.1", &at(b"second"), &format!(":1.0.0{}", at(b"second"))] {
        let error = host.fetch(&bench.registry.reference(version)).unwrap_err();
        assert!(matches!(error, FetchError::NoAnswer { .. }), "{version}: {error}");
    }
}

#[test]
fn a_pinned_image_is_what_it_is_pinned_to_whatever_its_tag_is() {
    let bench = Bench::with_image(b"first");
    bench.push("1.0.0", b"second");
    let pinned = bench.registry.reference(&format!(":1.0.0{}", at(b"first")));
    assert_eq!(bench.host().fetch(&pinned).unwrap(), b"first");
    // It says nothing of what the tag is.
    assert_eq!(bench.host().fetch(&bench.registry.reference(":1.0.0")).unwrap(), b"second");
}

#[test]
fn a_pinned_image_is_cached_under_its_digest() {
    let bench = Bench::with_image(b"first");
    let pinned = bench.registry.reference(&at(b"first"));
    bench.host().fetch(&pinned).unwrap();
    let connections = bench.registry.connections();
    assert_eq!(bench.host().fetch(&pinned).unwrap(), b"first");
    assert_eq!(bench.registry.connections(), connections);
}

#[test]
fn another_manifest_than_the_pinned_one_is_refused() {
    let bench = Bench::with_image(b"first");
    let other = manifest(&[("application/wasm", b"second")]);
    bench.registry.put_blob(b"second");
    bench.registry.fault(Fault::Manifest(other.clone()));
    let error = bench.host().fetch(&bench.registry.reference(&at(b"first"))).unwrap_err();
    let FetchError::Digest { part: "manifest", expected, found, .. } = error else { panic!("{error}") };
    assert_eq!((expected, found), (at(b"first")[1..].to_owned(), digest(&other)));
    assert!(bench.files().is_empty());
}

#[test]
fn refreshing_asks_again_and_the_cache_follows() {
    let bench = Bench::with_image(b"first");
    let reference = bench.registry.reference(":1.0.0");
    let host = bench.host();
    let refreshed = host.refresh(&reference).unwrap();
    assert_eq!((refreshed.image.as_slice(), refreshed.is_new), (&b"first"[..], true));

    let pushed = bench.push("1.0.0", b"second");
    let refreshed = host.refresh(&reference).unwrap();
    assert_eq!((refreshed.image.as_slice(), refreshed.is_new), (&b"second"[..], true));
    assert_eq!(refreshed.digest, pushed);

    bench.registry.take_requests();
    assert!(!host.refresh(&reference).unwrap().is_new);
    let asked = bench.registry.take_requests();
    assert!(asked.iter().any(|request| request.path.contains("/manifests/")));
    assert!(!asked.iter().any(|request| request.path.contains("/blobs/")), "it was there already");

    bench.registry.fault(Fault::HangsUp);
    assert_eq!(host.fetch(&reference).unwrap(), b"second");
}

#[test]
fn refreshing_in_vain_keeps_what_is_cached() {
    let bench = Bench::with_image(b"first");
    let reference = bench.registry.reference(":1.0.0");
    let host = bench.host();
    host.fetch(&reference).unwrap();
    bench.push("1.0.0", b"second");
    for fault in [Fault::HangsUp, Fault::Status(404, ""), Fault::BrokenBlob, Fault::Blob(b"other!".to_vec())]
    {
        bench.registry.fault(fault);
        host.refresh(&reference).unwrap_err();
        assert_eq!(host.fetch(&reference).unwrap(), b"first");
    }
}

#[test]
fn latest_is_refused_where_it_is_not_allowed() {
    let bench = Bench::new();
    bench.push("latest", b"first");
    let host = bench.host();
    for version in ["", ":latest"] {
        let reference = bench.registry.reference(version);
        for error in [host.fetch(&reference).unwrap_err(), host.refresh(&reference).unwrap_err()] {
            assert!(matches!(error, FetchError::Latest { .. }), "{error}");
        }
    }
    assert_eq!(bench.registry.connections(), 0);
    // Pinned, it is no longer what changes.
    let pinned = bench.registry.reference(&format!(":latest{}", at(b"first")));
    assert_eq!(host.fetch(&pinned).unwrap(), b"first");
}

#[test]
fn latest_is_asked_of_the_registry_and_then_of_the_cache() {
    let bench = Bench::new();
    bench.push("latest", b"first");
    let host = Registries::new(Options { allow_latest: true, ..bench.options() }).unwrap();
    let (bare, tagged) = (bench.registry.reference(""), bench.registry.reference(":latest"));
    assert_eq!(host.fetch(&bare).unwrap(), b"first");
    bench.push("latest", b"second");
    assert_eq!(host.fetch(&tagged).unwrap(), b"second");

    bench.push("latest", b"third");
    for fault in [Fault::HangsUp, Fault::Status(503, "down"), Fault::BrokenBlob] {
        bench.registry.fault(fault);
        assert_eq!(host.fetch(&bare).unwrap(), b"second");
    }
    // A registry that answers is believed.
    bench.registry.fault(Fault::Status(404, ""));
    assert!(matches!(host.fetch(&bare).unwrap_err(), FetchError::NotFound { .. }));
}

#[test]
fn two_threads_may_fetch_the_same_at_once() {
    let image = vec![7; 1 << 20];
    let bench = Bench::with_image(&image);
    let reference = bench.registry.reference(":1.0.0");
    // Two of them are of one host, and the third is of another that shares its cache.
    let (one, other) = (bench.host(), bench.host());
    let together = std::sync::Barrier::new(3);
    std::thread::scope(|scope| {
        let fetch = |host: &Registries| {
            together.wait();
            host.fetch(&reference).unwrap()
        };
        let fetched = [&one, &one, &other].map(|host| scope.spawn(move || fetch(host)));
        for fetched in fetched {
            assert!(fetched.join().unwrap() == image);
        }
    });
    let sound = bench.files().len();
    assert_eq!(sound, 3, "a layer, a manifest and a reference: {:?}", bench.files());
    bench.registry.fault(Fault::HangsUp);
    assert!(bench.host().fetch(&reference).unwrap() == image);
}

#[test]
fn it_may_be_called_from_a_thread_that_drives_a_runtime() {
    let bench = Bench::with_image(b"first");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fetched = runtime.block_on(async { bench.host().fetch(&bench.registry.reference(":1.0.0")) });
    assert_eq!(fetched.unwrap(), b"first");
}

/// What pins an image that was pushed.
fn at(image: &[u8]) -> String {
    format!("@{}", digest(&manifest(&[("application/wasm", image)])))
}

//! Which layer of an image is the component.

use abide_oci::{FetchError, Unfit};
use serde_json::json;

use crate::registry::Fault;
use crate::support::{Bench, OLDER_WASM, WASM, index, manifest};

const TAR: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const PAR: &str = "application/vnd.wasmcloud.provider.archive.layer.v1+par";

#[test]
fn both_media_types_are_taken() {
    for media_type in [WASM, OLDER_WASM] {
        assert_eq!(fetch(&manifest(&[(media_type, b"first")])).unwrap(), b"first");
    }
}

#[test]
fn what_is_beside_the_component_is_left() {
    let image = manifest(&[("text/markdown", b"# read me"), (WASM, b"first")]);
    assert_eq!(fetch(&image).unwrap(), b"first");
}

#[test]
fn images_without_one_component_are_refused() {
    let unfit = |manifest: &[u8]| match fetch(manifest).unwrap_err() {
        FetchError::Unfit { why, .. } => why,
        error => panic!("{error}"),
    };
    assert_eq!(
        unfit(&manifest(&[(TAR, b"first"), (PAR, b"second")])),
        Unfit::MediaType { found: format!("`{TAR}`, `{PAR}`") }
    );
    assert_eq!(unfit(&manifest(&[])), Unfit::MediaType { found: "none".into() });
    let two = [(WASM, &b"first"[..]), (OLDER_WASM, b"second")];
    assert_eq!(unfit(&manifest(&two)), Unfit::Layers { count: 2 });
}

#[test]
fn manifests_that_are_none_are_refused() {
    let sound: serde_json::Value = serde_json::from_slice(&manifest(&[(WASM, b"first")])).unwrap();
    let with = |edit: &dyn Fn(&mut serde_json::Value)| {
        let mut manifest = sound.clone();
        edit(&mut manifest);
        manifest.to_string()
    };
    let index = "application/vnd.oci.image.index.v1+json";
    for manifest in [
        String::new(),
        "<html>sign in</html>".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "[".repeat(100_000),
        with(&|manifest| manifest["schemaVersion"] = json!(1)),
        with(&|manifest| manifest["mediaType"] = json!(index)),
        with(&|manifest| manifest["manifests"] = json!([])),
        with(&|manifest| manifest["layers"] = json!({})),
        with(&|manifest| manifest["layers"][0]["size"] = json!(-1)),
        with(&|manifest| manifest["layers"][0]["size"] = json!("5")),
        with(&|manifest| manifest["layers"][0]["digest"] = json!("sha256:../../../etc/passwd")),
        with(&|manifest| manifest["layers"][0]["digest"] = json!("md5:d41d8cd98f00b204e9800998ecf8427e")),
    ] {
        let error = fetch(manifest.as_bytes()).unwrap_err();
        assert!(
            matches!(error, FetchError::Unfit { why: Unfit::Manifest(_), .. }),
            "{manifest:.99}: {error}"
        );
    }
    // And it is the edits that they are refused for.
    assert_eq!(fetch(with(&|_| {}).as_bytes()).unwrap(), b"first");
}

#[test]
fn an_index_is_followed_where_it_leaves_no_choice() {
    let (wasm, other) = (manifest(&[(WASM, b"first")]), manifest(&[(TAR, b"second")]));
    for entries in [
        &[("wasip2/wasm", wasm.as_slice())][..],
        &[("linux/amd64", &wasm)],
        &[("linux/amd64", &other), ("wasip2/wasm", &wasm), ("linux/arm64", &other)],
        &[("unknown/unknown", &other), ("linux/amd64", &wasm)],
    ] {
        let bench = Bench::new();
        bench.registry.put_blob(b"first");
        bench.registry.put_manifest(None, &wasm);
        let digest = bench.registry.put_manifest(Some("1.0.0"), &index(entries));
        let (tag, pinned) =
            (bench.registry.reference(":1.0.0"), bench.registry.reference(&format!("@{digest}")));
        assert_eq!(bench.host().fetch(&tag).unwrap(), b"first");
        bench.registry.fault(Fault::HangsUp);
        assert_eq!(bench.host().fetch(&tag).unwrap(), b"first");
        assert_eq!(bench.host().fetch(&pinned).unwrap(), b"first");
    }
}

#[test]
fn an_index_that_leaves_a_choice_is_refused() {
    let (one, two) = (manifest(&[(WASM, b"first")]), manifest(&[(WASM, b"second")]));
    for (entries, said) in [
        (&[("linux/amd64", one.as_slice()), ("linux/arm64", &two)][..], "`linux/amd64`, `linux/arm64`"),
        (&[("wasip1/wasm", &one), ("wasip2/wasm", &two)], "`wasip1/wasm`, `wasip2/wasm`"),
        (&[], "none"),
    ] {
        let error = fetch(&index(entries)).unwrap_err();
        let FetchError::Unfit { why: Unfit::Platforms { platforms }, .. } = error else { panic!("{error}") };
        assert_eq!(platforms, said);
    }
}

#[test]
fn an_index_leads_to_no_other_index_and_to_no_other_manifest() {
    let bench = Bench::new();
    bench.registry.put_blob(b"first");
    let wasm = manifest(&[(WASM, b"first")]);
    bench.registry.put_manifest(None, &wasm);
    let inner = index(&[("wasip2/wasm", &wasm)]);
    bench.registry.put_manifest(None, &inner);
    bench.registry.put_manifest(Some("nested"), &index(&[("wasip2/wasm", &inner)]));
    let error = bench.host().fetch(&bench.registry.reference(":nested")).unwrap_err();
    assert!(matches!(error, FetchError::Unfit { why: Unfit::Manifest(_), .. }), "{error}");

    // The same bytes for the index, and for what it names.
    bench.registry.fault(Fault::Manifest(inner));
    let error = bench.host().fetch(&bench.registry.reference(":1.0.0")).unwrap_err();
    assert!(matches!(error, FetchError::Digest { part: "manifest", .. }), "{error}");
}

/// What comes of a manifest.
fn fetch(manifest: &[u8]) -> Result<Vec<u8>, FetchError> {
    let bench = Bench::new();
    for layer in [&b"first"[..], b"second"] {
        bench.registry.put_blob(layer);
    }
    bench.registry.put_manifest(Some("1.0.0"), manifest);
    let fetched = bench.host().fetch(&bench.registry.reference(":1.0.0"));
    assert_eq!(fetched.is_ok(), !bench.files().is_empty());
    fetched
}

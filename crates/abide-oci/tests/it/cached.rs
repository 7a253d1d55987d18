//! The cache: what lies in it, and what becomes of it when it is damaged.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use abide_oci::{FetchError, OpenError, Options, Registries};

use crate::registry::Fault;
use crate::support::{Bench, WASM, damage, digest, manifest};

#[test]
fn an_image_lies_in_the_cache_by_its_digests() {
    let bench = Bench::with_image(b"first");
    bench.host().fetch(&bench.registry.reference(":1.0.0")).unwrap();
    let manifest = manifest(&[(WASM, b"first")]);
    assert_eq!(fs::read(bench.blob(&digest(b"first"))).unwrap(), b"first");
    assert_eq!(fs::read(bench.blob(&digest(&manifest))).unwrap(), manifest);
    let named = format!(
        "abide-oci reference 1\nreference {}\nmanifest {}\nlayer {}\n",
        bench.registry.reference(":1.0.0"),
        digest(&manifest),
        digest(b"first")
    );
    assert_eq!(fs::read_to_string(bench.reference_file()).unwrap(), named);
    assert_eq!(bench.files().len(), 3);
}

#[test]
fn the_cache_is_for_its_owner_alone() {
    let bench = Bench::with_image(b"first");
    let folder = bench.cache.path().join("new");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    fs::create_dir_all(folder.join("references")).unwrap();
    fs::set_permissions(folder.join("references"), fs::Permissions::from_mode(0o755)).unwrap();

    let host = Registries::new(Options { cache: folder.join("deep"), ..bench.options() }).unwrap();
    host.fetch(&bench.registry.reference(":1.0.0")).unwrap();
    assert_eq!(mode(&folder.join("deep")), 0o700);
    assert_eq!(mode(&folder.join("deep/blobs/sha256")), 0o700);
    for file in bench.files() {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    // One that was there before.
    Registries::new(Options { cache: folder.clone(), ..bench.options() }).unwrap();
    assert_eq!(mode(&folder.join("references")), 0o700);
}

#[test]
fn what_is_damaged_is_fetched_anew() {
    let manifest = digest(&manifest(&[(WASM, b"the first image")]));
    let layer = digest(b"the first image");
    let other = digest(b"something else");
    type Damage<'a> = &'a dyn Fn(&Bench);
    let damages: &[(&str, Damage<'_>)] = &[
        ("a bit of the layer", &|bench| damage(&bench.blob(&layer))),
        ("a bit of the manifest", &|bench| damage(&bench.blob(&manifest))),
        ("the layer's end", &|bench| truncate(&bench.blob(&layer), 5)),
        ("all of the layer", &|bench| truncate(&bench.blob(&layer), 0)),
        ("all of the manifest", &|bench| truncate(&bench.blob(&manifest), 0)),
        ("too long a layer", &|bench| fs::write(bench.blob(&layer), [0; 99]).unwrap()),
        ("no layer", &|bench| fs::remove_file(bench.blob(&layer)).unwrap()),
        ("no manifest", &|bench| fs::remove_file(bench.blob(&manifest)).unwrap()),
        ("no reference", &|bench| fs::remove_file(bench.reference_file()).unwrap()),
        ("an empty reference", &|bench| truncate(&bench.reference_file(), 0)),
        ("half a reference", &|bench| truncate(&bench.reference_file(), 70)),
        ("garbage", &|bench| fs::write(bench.reference_file(), [0xff; 99]).unwrap()),
        ("another layer", &|bench| edit(bench, &layer, &other)),
        ("another manifest", &|bench| edit(bench, &manifest, &other)),
        ("another reference", &|bench| edit(bench, ":1.0.0", ":1.0.1")),
        ("another format", &|bench| edit(bench, "reference 1\n", "reference 10\n")),
    ];
    for (what, damage) in damages {
        let bench = Bench::with_image(b"the first image");
        let reference = bench.registry.reference(":1.0.0");
        bench.host().fetch(&reference).unwrap();
        let whole: Vec<_> =
            bench.files().iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect();
        damage(&bench);

        bench.registry.fault(Fault::HangsUp);
        let error = bench.host().fetch(&reference).unwrap_err();
        assert!(matches!(error, FetchError::NoAnswer { .. }), "{what}: {error}");

        bench.registry.fault(Fault::None);
        assert_eq!(bench.host().fetch(&reference).unwrap(), b"the first image", "{what}");
        let healed: Vec<_> =
            bench.files().iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect();
        assert!(healed == whole, "{what}: {healed:?}");
    }
}

#[test]
fn a_sound_layer_is_not_fetched_again_for_a_damaged_manifest() {
    let bench = Bench::with_image(b"first");
    let reference = bench.registry.reference(":1.0.0");
    bench.host().fetch(&reference).unwrap();
    damage(&bench.reference_file());
    bench.registry.take_requests();
    bench.host().fetch(&reference).unwrap();
    assert!(!bench.registry.take_requests().iter().any(|request| request.path.contains("/blobs/")));
}

#[test]
fn what_a_process_left_that_died_is_removed_in_time() {
    let bench = Bench::with_image(b"first");
    bench.host();
    let folder = bench.cache.path().join("blobs/sha256");
    let (old, new) = (folder.join("a.1-2-3.tmp"), folder.join("b.1-2-3.tmp"));
    for (file, age) in [(&old, Duration::from_secs(2 * 24 * 3_600)), (&new, Duration::ZERO)] {
        File::create(file).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }
    bench.host();
    assert!(!old.exists());
    assert!(new.exists(), "somebody may be writing it");
}

#[test]
fn what_another_process_is_writing_is_not_in_the_way() {
    let bench = Bench::with_image(b"first");
    let host = bench.host();
    let blob = bench.blob(&digest(b"first"));
    let theirs = [blob.with_extension("tmp"), blob.with_extension(format!("{}.tmp", std::process::id()))];
    theirs.iter().for_each(|file| fs::write(file, "firs").unwrap());
    assert_eq!(host.fetch(&bench.registry.reference(":1.0.0")).unwrap(), b"first");
    for file in theirs {
        assert_eq!(fs::read(file).unwrap(), b"firs", "it is still theirs");
    }
}

#[test]
fn a_cache_that_cannot_be_kept_is_told_of() {
    let bench = Bench::with_image(b"first");
    let file = bench.cache.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Registries::new(Options { cache: file, ..bench.options() }).unwrap_err();
    let OpenError::Cache { path, .. } = &error;
    assert!(path.ends_with("file/blobs/sha256"), "{error}");

    // A folder where a file must come, since permissions do not hold for everybody.
    let host = bench.host();
    let taken = bench.blob(&digest(b"first"));
    fs::create_dir_all(taken.join("in the way")).unwrap();
    let error = host.fetch(&bench.registry.reference(":1.0.0")).unwrap_err();
    let FetchError::Cache { path, .. } = &error else { panic!("{error}") };
    assert_eq!(path, &taken);
    assert!(bench.files().iter().all(|file| file.extension().is_none_or(|end| end != "tmp")));
}

#[test]
fn an_image_that_the_cache_holds_and_the_host_no_longer_takes_is_refused() {
    let bench = Bench::with_image(b"first");
    let reference = bench.registry.reference(":1.0.0");
    bench.host().fetch(&reference).unwrap();
    let host = Registries::new(Options { image_max_bytes: 4, ..bench.options() }).unwrap();
    bench.registry.fault(Fault::HangsUp);
    let error = host.fetch(&reference).unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { part: "layer", bytes: 5, most: 4, .. }), "{error}");
}

fn truncate(file: &std::path::Path, bytes: u64) {
    File::options().write(true).open(file).unwrap().set_len(bytes).unwrap();
}

/// The reference's file says something else.
fn edit(bench: &Bench, from: &str, to: &str) {
    let file = bench.reference_file();
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from));
    fs::write(file, text.replace(from, to)).unwrap();
}

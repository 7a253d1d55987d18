//! What people read when an image is not to be had.

use std::io;

use abide_oci::{FetchError, OpenError, Unfit};

#[test]
fn what_people_read() {
    let reference = || "ghcr.io/orchard/frost-guard:1.0.0".to_owned();
    let registry = || "ghcr.io".to_owned();
    let (digest, other) = (format!("sha256:{}", "1".repeat(64)), format!("sha256:{}", "2".repeat(64)));
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    let unfit = |why| FetchError::Unfit { reference: reference(), why };
    let errors = [
        FetchError::Reference { reference: "frost-guard".into(), why: "it names no registry".into() },
        FetchError::Latest { reference: "ghcr.io/orchard/frost-guard".into() },
        FetchError::Credential { registry: registry(), why: "a password without a name" },
        FetchError::NotFound {
            registry: registry(),
            reference: reference(),
            why: "manifest unknown".into(),
            identity: "without credentials",
        },
        FetchError::Unauthorized {
            registry: registry(),
            reference: reference(),
            why: "it answers 401".into(),
            identity: "without credentials",
        },
        FetchError::NoAnswer {
            registry: registry(),
            reference: reference(),
            why: "nothing came for 30s".into(),
            hint: "",
        },
        FetchError::Refused { registry: registry(), reference: reference(), why: "it answers 418".into() },
        unfit(Unfit::Manifest("expected value at line 1 column 1".into())),
        unfit(Unfit::MediaType { found: "`application/vnd.oci.image.layer.v1.tar+gzip`".into() }),
        unfit(Unfit::Layers { count: 2 }),
        unfit(Unfit::Platforms { platforms: "`linux/amd64`, `linux/arm64`".into() }),
        FetchError::Digest { reference: reference(), part: "layer", expected: digest, found: other },
        FetchError::Length { reference: reference(), expected: 1_234, found: "1230 bytes".into() },
        FetchError::TooLarge { reference: reference(), part: "layer", bytes: 300 << 20, most: 256 << 20 },
        FetchError::Cache { reference: reference(), path: "/var/lib/abide/images/x".into(), source: full() },
        FetchError::Machine { reference: reference(), why: "No CA certificates were loaded".into() },
    ];
    let mut read: Vec<String> = errors.iter().map(ToString::to_string).collect();
    read.push(OpenError::Cache { path: "/var/lib/abide/images".into(), source: full() }.to_string());
    insta::assert_snapshot!(read.join("\n"));
}

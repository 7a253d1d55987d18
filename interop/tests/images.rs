//! Images from a registry, and by whom they are.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use async_nats::Subscriber;
use futures::StreamExt as _;
use interop::{Lattice, PATIENCE, program, yes};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

/// A registry with one image, and how often it was asked.
struct Registry {
    port: u16,
    asked: Arc<AtomicU64>,
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Registry {
    fn new(image: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": "application/vnd.wasm.config.v0+json", "digest": digest(b"{}"), "size": 2 },
            "layers": [{ "mediaType": "application/wasm", "digest": digest(&image), "size": image.len() }],
        })
        .to_string()
        .into_bytes();
        let held: HashMap<String, (Vec<u8>, &str)> = HashMap::from([
            ("/v2/".to_owned(), (b"{}".to_vec(), "application/json")),
            (
                "/v2/hello/manifests/1.0.0".to_owned(),
                (manifest, "application/vnd.oci.image.manifest.v1+json"),
            ),
            (format!("/v2/hello/blobs/{}", digest(&image)), (image, "application/octet-stream")),
        ]);
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                let mut first = String::new();
                let _ = reader.read_line(&mut first);
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                    line.clear();
                }
                count.fetch_add(1, Ordering::Relaxed);
                let path = first.split(' ').nth(1).unwrap_or_default();
                let (status, body, kind) = match held.get(path) {
                    Some((body, kind)) => ("200 OK", body.as_slice(), *kind),
                    None => ("404 Not Found", &b"{}"[..], "application/json"),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let stream = reader.get_mut();
                let _ = stream.write_all(head.as_bytes());
                if !first.starts_with("HEAD") {
                    let _ = stream.write_all(body);
                }
            }
        });
        Self { port, asked }
    }

    fn image(&self, version: &str) -> String {
        format!("127.0.0.1:{}/hello:{version}", self.port)
    }
}

async fn told(events: &mut Subscriber, id: &str) -> Json {
    loop {
        let message = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap();
        let event: Json = serde_json::from_slice(&message.payload).unwrap();
        if event["data"]["component_id"] == id {
            return event;
        }
    }
}

fn hello() -> Vec<u8> {
    std::fs::read(program("ABIDE_GUESTS").join("hello.wasm")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_comes_from_a_registry_and_then_from_the_cache() {
    let registry = Registry::new(hello());
    let lattice = Lattice::new(true);
    let insecure = format!("127.0.0.1:{}", registry.port);
    let host = lattice.host_with("orchard", true, &["--allowed-insecure", &insecure]);
    let client = lattice.client().await;
    let mut events = lattice.events(">").await;
    let id = client.get_hosts().await.unwrap()[0].data().unwrap().id().to_owned();
    let scale = async |name: &str, image: &str| {
        yes(client.scale_component(&id, image, name, 1, None, vec![], false).await);
    };
    scale("first", &registry.image("1.0.0")).await;
    assert_eq!(told(&mut events, "first").await["type"], "com.wasmcloud.lattice.component_scaled");
    let asked = registry.asked.load(Ordering::Relaxed);
    assert!(asked > 0);
    // What the cache holds needs no registry, also of another component.
    scale("second", &registry.image("1.0.0")).await;
    assert_eq!(told(&mut events, "second").await["type"], "com.wasmcloud.lattice.component_scaled");
    assert_eq!(registry.asked.load(Ordering::Relaxed), asked);
    scale("third", &registry.image("2.0.0")).await;
    let failed = told(&mut events, "third").await;
    assert!(failed["data"]["error"].as_str().unwrap().contains("2.0.0"), "{failed}");
    scale("fourth", &registry.image("latest")).await;
    let failed = told(&mut events, "fourth").await;
    assert!(failed["data"]["error"].as_str().unwrap().contains("--allow-latest"), "{failed}");
    drop(host);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_requires_an_issuer_takes_nothing_else() {
    let lattice = Lattice::new(true);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/abide-host/src/components/golden");
    let golden = golden.canonicalize().unwrap();
    let image = |path: &Path| format!("file://{}", path.display());
    let mut damaged = std::fs::read(golden.join("twice.wasm")).unwrap();
    damaged[20] ^= 1;
    std::fs::write(lattice.path("broken.wasm"), damaged).unwrap();
    std::fs::write(lattice.path("plain.wasm"), hello()).unwrap();

    let client = lattice.client().await;
    let mut events = lattice.events(">").await;
    // Where nothing is required, what was signed is told and kept.
    let open = lattice.host("open", true);
    let id = client.get_hosts().await.unwrap()[0].data().unwrap().id().to_owned();
    let mut issuers = Vec::new();
    for name in ["signed", "twice"] {
        let file = golden.join(name).with_extension("wasm");
        yes(client.scale_component(&id, &image(&file), name, 1, None, vec![], false).await);
        let event = told(&mut events, name).await;
        let issuer = event["data"]["claims"]["issuer"].as_str().unwrap_or_else(|| panic!("{event}"));
        assert!(event["data"]["public_key"].as_str().unwrap().starts_with('M'));
        issuers.push(issuer.to_owned());
    }
    let kept = yes(client.get_claims().await).unwrap();
    assert!(
        kept.iter().any(|claims| claims["issuer"] == issuers[1] && claims["name"] == "again"),
        "{kept:?}"
    );
    drop(open);

    let _host = lattice.host_with("strict", true, &["--issuer", &issuers[1]]);
    let id = loop {
        let hosts = client.get_hosts().await.unwrap();
        let strict =
            hosts.iter().filter_map(|host| host.data()).find(|host| host.friendly_name() == "strict");
        if let Some(host) = strict {
            break host.id().to_owned();
        }
    };
    let cases = [
        ("wrong", golden.join("signed.wasm"), Some(issuers[0].as_str())),
        ("right", golden.join("twice.wasm"), None),
        ("plain", lattice.path("plain.wasm"), Some("sign")),
        ("broken", lattice.path("broken.wasm"), Some("")),
    ];
    for (name, file, refused) in cases {
        yes(client.scale_component(&id, &image(&file), name, 1, None, vec![], false).await);
        let event = told(&mut events, name).await;
        match refused {
            None => assert_eq!(event["type"], "com.wasmcloud.lattice.component_scaled", "{event}"),
            Some(why) => {
                assert_eq!(event["type"], "com.wasmcloud.lattice.component_scale_failed", "{event}");
                assert!(event["data"]["error"].as_str().unwrap().contains(why), "{event}");
            }
        }
    }
}

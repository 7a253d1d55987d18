//! Objects of a component in containers, which are files in folders of the host.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use interop::{Lattice, PATIENCE, Running, free_port, guest, yes};
use wasmcloud_control_interface::{Client, Link};

/// A lattice of one host, with a component that keeps files and an HTTP server before it.
struct Keeper {
    lattice: Lattice,
    host: Option<Running>,
    client: Client,
    url: String,
}

impl Keeper {
    async fn new() -> Self {
        let lattice = Lattice::new(true);
        let client = lattice.client().await;
        let url = format!("http://127.0.0.1:{}", free_port());
        let mut keeper = Self { lattice, host: None, client, url };
        keeper.restart().await;
        let address = keeper.url.strip_prefix("http://").unwrap();
        keeper.config("address", &[("address", address)]).await;
        keeper.link("server", "blobs", ("http", "incoming-handler"), &["address"], &[]).await;
        keeper
    }

    /// Starts the host, after it was killed where it ran.
    async fn restart(&mut self) {
        self.host = None;
        self.host = Some(self.lattice.host("orchard", true));
        let id = self.id().await;
        yes(self.client.scale_component(&id, &guest("blobs"), "blobs", 20, None, vec![], false).await);
        self.provide("wasmcloud+builtin://http-server", "server").await;
    }

    async fn id(&self) -> String {
        self.client.get_hosts().await.unwrap()[0].data().unwrap().id().to_owned()
    }

    async fn provide(&self, image: &str, id: &str) {
        yes(self.client.start_provider(&self.id().await, image, id, None, vec![]).await);
    }

    async fn config(&self, name: &str, values: &[(&str, &str)]) {
        let values: HashMap<String, String> =
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        yes(self.client.put_config(name, values).await);
    }

    async fn link(
        &self,
        source: &str,
        target: &str,
        (package, interface): (&str, &str),
        of_source: &[&str],
        of_target: &[&str],
    ) {
        let texts = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let link = Link::builder().source_id(source).target(target).name("default");
        let link = link.wit_namespace("wasi").wit_package(package).interfaces(texts(&[interface]));
        let link = link.source_config(texts(of_source)).target_config(texts(of_target)).build();
        yes(self.client.put_link(link.unwrap()).await);
    }

    /// Grants the component a folder of its own, or with `root` the one that is configured.
    async fn grant(&self, of_target: &[&str]) {
        self.provide("abide+builtin://blobstore-fs", "files").await;
        self.link("blobs", "files", ("blobstore", "blobstore"), &[], of_target).await;
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        ask(&self.url, method, path, body)
    }

    /// What is answered where all goes well.
    #[track_caller]
    fn ok(&self, method: &str, path: &str, body: &[u8]) -> String {
        let (status, answer) = self.ask(method, path, body).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// Why it cannot be done.
    #[track_caller]
    fn refused(&self, method: &str, path: &str, body: &[u8], part: &str) {
        let (status, answer) = self.ask(method, path, body).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(status == 502 && answer.contains(part), "{method} {path}: {status} {answer}");
    }

    /// Asks until it is answered so.
    #[track_caller]
    fn until(&self, method: &str, path: &str, status: u16, part: &str) {
        let (start, mut last) = (Instant::now(), None);
        while start.elapsed() < PATIENCE {
            last =
                self.ask(method, path, b"").map(|(status, body)| (status, String::from_utf8(body).unwrap()));
            if matches!(&last, Some((found, text)) if *found == status && text.contains(part)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{method} {path} is not answered by {status} {part} but by {last:?}");
    }

    /// Where a provider keeps its containers that names no folder.
    fn own_folder(&self) -> PathBuf {
        self.lattice.path("orchard-data").join("blobstore/files")
    }
}

/// The status and the body; none where nobody answers.
fn ask(url: &str, method: &str, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    let agent: ureq::Agent = config.build().into();
    let request = ureq::http::Request::builder().method(method).uri(format!("{url}/{path}")).body(body);
    let mut response = agent.run(request.unwrap()).ok()?;
    let body = response.body_mut().with_config().limit(2 << 30).read_to_vec().ok()?;
    Some((response.status().as_u16(), body))
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Waits until nothing is being written, nor left.
#[track_caller]
fn no_drafts(folder: &Path) {
    let start = Instant::now();
    while !entries(&folder.join(".new")).is_empty() {
        assert!(start.elapsed() < PATIENCE, "{:?}", entries(&folder.join(".new")));
        thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_kept_where_a_link_grants_it() {
    let mut keeper = Keeper::new().await;
    // No link, no folder: denied by default, and told what to do.
    keeper.until("PUT", "fruit", 502, "may not call `wasi:blobstore/blobstore`");
    keeper.refused("GET", "fruit/apple", b"", "it has no link");
    keeper.grant(&[]).await;
    keeper.until("PUT", "fruit", 200, "fruit true\n");
    keeper.refused("GET", "nuts", b"", "there is no container `nuts`");
    keeper.refused("PUT", "nuts/hazel", b"x", "there is no container `nuts`");
    keeper.refused("GET", "fruit/apple", b"", "there is no object `apple` in the container `fruit`");

    keeper.ok("PUT", "fruit/apple", b"0123456789");
    keeper.ok("PUT", "fruit/pear?early", b"green");
    assert_eq!(keeper.ok("GET", "fruit/apple", b""), "0123456789");
    assert_eq!(keeper.ok("GET", "fruit/apple?2,4", b""), "234");
    assert_eq!(keeper.ok("GET", "fruit/apple?8,100", b""), "89");
    assert_eq!(keeper.ok("GET", "fruit/apple?10,100", b""), "");
    keeper.refused("GET", "fruit/apple?4,2", b"", "ends before it begins");
    let info = keeper.ok("GET", "fruit/apple?info", b"");
    assert!(info.starts_with("fruit apple 10 1"), "{info}");
    for more in ["1", "2", "3", "4", "5"] {
        keeper.ok("PUT", &format!("fruit/{more}"), b"");
    }
    assert_eq!(keeper.ok("GET", "fruit", b""), "1\n2\n3\n4\n5\napple\npear\n");
    keeper.ok("PUT", "other", b"");
    keeper.ok("POST", "fruit/pear?copy=other/a%2Fb", b"");
    keeper.ok("POST", "fruit/apple?move=other/apple", b"");
    keeper.refused("POST", "fruit/1?move=nuts/1", b"", "there is no container `nuts`");
    assert_eq!(keeper.ok("GET", "other", b""), "a/b\napple\n");
    keeper.ok("DELETE", "fruit/pear", b"");
    keeper.ok("DELETE", "fruit/pear", b"");
    assert_eq!(keeper.ok("GET", "fruit", b""), "1\n2\n3\n4\n5\n");
    keeper.ok("DELETE", "fruit?clear", b"");
    assert_eq!(keeper.ok("GET", "fruit", b""), "");

    // It is there after the host was killed.
    keeper.restart().await;
    keeper.provide("abide+builtin://blobstore", "files").await;
    keeper.until("GET", "other/apple", 200, "0123456789");
    assert_eq!(keeper.ok("GET", "other/a%2Fb", b""), "green");
    keeper.ok("DELETE", "other", b"");
    keeper.refused("GET", "other/apple", b"", "there is no container `other`");
    assert_eq!(entries(&keeper.own_folder()), [".new", "fruit"]);

    yes(keeper.client.delete_link("blobs", "default", "wasi", "blobstore").await);
    keeper.until("GET", "fruit", 502, "it has no link");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_leads_out_of_the_folder_that_is_configured() {
    let keeper = Keeper::new().await;
    let root = keeper.lattice.path("deep/root");
    keeper.config("folder", &[("root", root.to_str().unwrap())]).await;
    keeper.grant(&["folder"]).await;
    keeper.until("PUT", "c", 200, "c true\n");
    let names = [
        ("..%2F..%2Fx", "../../x", "%2E.%2F..%2Fx"),
        ("a%2Fb", "a/b", "a%2Fb"),
        ("", "", "%"),
        ("%2E", ".", "%2E"),
        ("%2Fetc%2Fpasswd", "/etc/passwd", "%2Fetc%2Fpasswd"),
        ("%00", "\0", "%00"),
        ("%C3%BC", "ü", "%C3%BC"),
    ];
    for (path, name, _) in &names {
        keeper.ok("PUT", &format!("c/{path}"), name.as_bytes());
        keeper.ok("PUT", path, b"");
    }
    for (path, name, _) in &names {
        assert_eq!(keeper.ok("GET", &format!("c/{path}"), b""), *name);
    }
    let mut files: Vec<&str> = names.iter().map(|(_, _, file)| *file).collect();
    files.sort_unstable();
    assert_eq!(entries(&root.join("c")), files);
    let mut folders = [files, vec![".new", "c"]].concat();
    folders.sort_unstable();
    assert_eq!(entries(&root), folders);
    assert_eq!(entries(&keeper.lattice.path("deep")), ["root"]);
    assert_eq!(entries(&keeper.own_folder()), [""; 0]);
    let long = "l".repeat(256);
    keeper.refused("PUT", &format!("c/{long}"), b"x", "is too long: a name has at most 255 bytes");
    keeper.refused("PUT", &long, b"x", "is too long");
    keeper.ok("PUT", &format!("c/{}", &long[..255]), b"x");

    // What a link of the file system leads to is no object and no container.
    let secret = keeper.lattice.path("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("s"), "secret").unwrap();
    std::os::unix::fs::symlink(&secret, root.join("out")).unwrap();
    std::os::unix::fs::symlink(secret.join("s"), root.join("c/out")).unwrap();
    keeper.refused("GET", "out/s", b"", "no folder on the host");
    keeper.refused("GET", "c/out", b"", "no file on the host");
    keeper.ok("PUT", "c/out", b"mine");
    assert_eq!(fs::read(secret.join("s")).unwrap(), b"secret");

    // A folder over `..` is refused where it is asked for.
    keeper.config("folder", &[("root", "../elsewhere")]).await;
    keeper.until("GET", "c", 502, "without `..`");
    keeper.config("folder", &[("root", "own")]).await;
    keeper.until("GET", "c", 502, "there is no container `c`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_written_whole_or_not_at_all() {
    let mut keeper = Keeper::new().await;
    keeper.grant(&[]).await;
    keeper.until("PUT", "c", 200, "c true\n");
    let folder = keeper.own_folder();
    let values: Vec<Vec<u8>> = (b'a'..=b'd').map(|letter| vec![letter; 3_000_000]).collect();
    keeper.ok("PUT", "c/o", &values[0]);
    let url = &keeper.url;
    thread::scope(|scope| {
        for value in &values {
            scope.spawn(|| (0..4).for_each(|_| assert_eq!(ask(url, "PUT", "c/o", value).unwrap().0, 200)));
        }
        for _ in 0..8 {
            let (status, read) = keeper.ask("GET", "c/o", b"").unwrap();
            assert!(status == 200 && values.contains(&read), "{status} {}", read.len());
        }
    });
    assert!(values.contains(&fs::read(folder.join("c/o")).unwrap()));
    no_drafts(&folder);

    // What is not finished leaves no trace.
    keeper.ok("PUT", "c/o", b"whole");
    keeper.ok("PUT", "c/o?unfinished", b"half");
    for how in ["trap", "left"] {
        assert_eq!(keeper.ask("PUT", &format!("c/o?{how}"), b"half").unwrap().0, 500, "{how}");
    }
    assert_eq!((keeper.ok("GET", "c/o", b""), keeper.ok("GET", "c", b"")), ("whole".into(), "o\n".into()));
    no_drafts(&folder);

    // A call has so many files open and no more, and they are gone with it.
    let many = keeper.ok("GET", "c?many", b"");
    assert!(many.starts_with("24 8: a call has at most 32 values"), "{many}");
    no_drafts(&folder);
    assert_eq!(keeper.ok("GET", "c/o", b""), "whole");

    // What a host leaves that is killed while it writes, the next one takes away.
    let url = keeper.url.clone();
    thread::spawn(move || ask(&url, "PUT", "c/o?spin", b"half"));
    let start = Instant::now();
    while entries(&folder.join(".new")).is_empty() {
        assert!(start.elapsed() < PATIENCE, "it does not write");
        thread::sleep(Duration::from_millis(5));
    }
    keeper.host = None;
    assert_eq!(entries(&folder.join(".new")).len(), 1);
    keeper.restart().await;
    keeper.provide("abide+builtin://blobstore", "files").await;
    keeper.until("GET", "c/o", 200, "whole");
    assert_eq!(entries(&folder.join(".new")), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_large_is_streamed_and_what_is_too_large_is_refused() {
    let keeper = Keeper::new().await;
    keeper.grant(&[]).await;
    keeper.until("PUT", "c", 200, "c true\n");
    let large: Vec<u8> = (0..100 << 20_u32).map(|n: u32| (n >> 8) as u8 ^ n as u8).collect();
    assert_eq!(keeper.ask("PUT", "c/large", &large).unwrap(), (200, vec![]));
    assert!(fs::read(keeper.own_folder().join("c/large")).unwrap() == large);
    assert!(keeper.ask("GET", "c/large", b"").unwrap().1 == large);
    keeper.refused("GET", "c/large?sync", b"", "at most 64 MiB are read at once");
    keeper.ok("PUT", "c/small", &large[..1 << 20]);
    assert_eq!(keeper.ok("GET", "c/small?sync", b""), "1048576 bytes\n");
    // It writes until it may not.
    keeper.refused("PUT", "c/endless?endless", b"", "an object has at most 1024 MiB");
    assert_eq!(keeper.ok("GET", "c", b""), "large\nsmall\n");
    no_drafts(&keeper.own_folder());
    // More than a gigabyte went through the host, which held little of it at once.
    let status =
        fs::read_to_string(format!("/proc/{}/status", keeper.host.as_ref().unwrap().child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 256 << 10, "{peak} KiB");
}

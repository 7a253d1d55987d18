//! What a program prints, and how it ends: success has its JSON or null, anything else is a failure.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use abide_host::effect::{CallError, Exec, ExecConfig, RESULT_BYTES_MAX, Target as _};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::{Reached, Target, answer};

pub(super) const TARGET: Target = Target { name: "exec", run, seeds };

/// Its exit status, and how often it prints what it prints.
const SCRIPT: &str = r#"cat err >&2; for n in $1; do cat out; done; exit "$0""#;

/// How a program ends and what it prints, its output first.
fn seeds() -> Vec<Vec<u8>> {
    let seeds: [&[u8]; 7] = [
        b"\0\0{\"status\":200,\"body\":{\"a\":1.5}}\n",
        b"\0\0[1,\"\xc3\xa9\",null]\n\0warned",
        b"\0\0plain text\nand more",
        b"\0\0",
        b"\x03\0{}\0valve stuck\n\xff",
        b"\0\xff{\"value\":[\"a\",\"b\"],\"found\":true}",
        b"\0\x010123456789\0",
    ];
    seeds.iter().map(|seed| seed.to_vec()).collect()
}

/// The folder that programs run in, one at a time.
fn folder() -> &'static Mutex<TempDir> {
    static FOLDER: OnceLock<Mutex<TempDir>> = OnceLock::new();
    #[expect(clippy::expect_used, reason = "a folder that cannot be made is a broken test, not a finding")]
    FOLDER.get_or_init(|| Mutex::new(tempfile::tempdir().expect("a folder is made")))
}

fn run(bytes: &[u8]) -> Reached {
    let [status, times, printed @ ..] = bytes else { return Reached::of(&"nothing") };
    let mut parts = printed.splitn(2, |byte| *byte == 0);
    let (out, err) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let times = if *times == u8::MAX { 40 } else { 1 };
    let folder = folder().lock().unwrap_or_else(PoisonError::into_inner);
    #[expect(clippy::expect_used, reason = "a file that cannot be written is a broken test, not a finding")]
    let called = call(folder.path(), *status, times, (out, err)).expect("the files are written");
    let expected = out.repeat(times);
    match &called {
        Ok(result) => {
            assert_eq!((*status, result), (0, &serde_json::from_slice(&expected).unwrap_or_default()));
            assert!(expected.len() <= RESULT_BYTES_MAX, "{} bytes are delivered", expected.len());
        }
        Err(error) => {
            let is_long = expected.len() > RESULT_BYTES_MAX;
            assert!(*status > 0 || is_long, "a success fails: {error}");
            assert_eq!(error.permanent, *status == 0, "{error}");
        }
    }
    Reached::of(&answer::record(&called))
}

fn call(
    folder: &Path,
    status: u8,
    times: usize,
    (out, err): (&[u8], &[u8]),
) -> io::Result<Result<Json, CallError>> {
    fs::write(folder.join("out"), out)?;
    fs::write(folder.join("err"), err)?;
    let exec = Exec::new(ExecConfig {
        program: "/bin/sh".into(),
        args: vec!["-c".to_owned(), SCRIPT.to_owned(), status.to_string(), "x ".repeat(times)],
        env: BTreeMap::new(),
        inherit: vec!["PATH".to_owned()],
        directory: folder.to_owned(),
    });
    Ok(exec.call(&answer::request("example:out/side", "ask", Vec::new())))
}

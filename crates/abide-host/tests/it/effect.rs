//! Targets and the dispatcher.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use abide_core::time::{Span, Timestamp};
use abide_host::effect::{
    Backoff, CallError, Dispatcher, DispatcherConfig, Exec, ExecConfig, JsonLines, Outcome, OutcomeStatus,
    RESULT_BYTES_MAX, Request, Target,
};
use serde_json::json;

/// Longer than anything here takes; a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(20);

fn request(object: &str, seq: u64) -> Request {
    Request {
        key: [u8::try_from(seq).unwrap(); 32],
        seq,
        object: object.into(),
        target: "t".into(),
        interface: "example:orchard/burner".into(),
        function: "set-level".into(),
        args: vec![json!("low")].into(),
        tick: 7,
        time: Timestamp(0),
        valid_until: Timestamp(Span::from_secs(1800).0),
        timeout: Span::from_secs(10),
        retries: 2,
        simulated: false,
    }
}

mod json_lines {
    use super::*;

    #[test]
    fn an_effect_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("effects.jsonl");
        let target = JsonLines::open(&path).unwrap();
        assert_eq!(target.call(&request("ewr", 3)), Ok(json!(null)));
        drop(target);
        JsonLines::open(&path).unwrap().call(&request("ewr", 4)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        insta::assert_snapshot!(first, @r#"{"args":["low"],"function":"set-level","interface":"example:orchard/burner","key":"0303030303030303030303030303030303030303030303030303030303030303","object":"ewr","tick":7,"time":"1970-01-01T00:00:00Z","valid_until":"1970-01-01T00:30:00Z"}"#);
        assert_eq!(rest.lines().count(), 1);
    }

    #[test]
    fn a_torn_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("effects.jsonl");
        fs::write(&path, "{\"key\":\"01").unwrap();
        JsonLines::open(&path).unwrap().call(&request("ewr", 1)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, "{\"key\":\"01"));
        assert!(serde_json::from_str::<serde_json::Value>(lines[1]).is_ok());
    }

    #[test]
    fn a_file_that_cannot_be_is_said_when_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        assert!(JsonLines::open(folder.path()).is_err());
        assert!(JsonLines::open(&folder.path().join("no/such/folder.jsonl")).is_err());
    }

    #[test]
    fn a_full_disk_fails_the_call() {
        let error = JsonLines::open(Path::new("/dev/full")).unwrap().call(&request("ewr", 1)).unwrap_err();
        insta::assert_snapshot!(error, @"cannot write to `/dev/full`: No space left on device (os error 28)");
        assert!(!error.permanent);
    }
}

mod exec {
    use super::*;

    fn config(program: &Path) -> ExecConfig {
        ExecConfig {
            program: program.to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            inherit: Vec::new(),
            directory: PathBuf::from("/"),
        }
    }

    fn shell(script: &str) -> Exec {
        Exec::new(ExecConfig {
            args: vec!["-c".to_owned(), script.to_owned()],
            ..config(Path::new("/bin/sh"))
        })
    }

    #[test]
    fn the_call_is_on_standard_input_and_the_result_is_json() {
        let result = shell("cat").call(&request("ewr", 1)).unwrap();
        assert_eq!(result, request("ewr", 1).to_json());
        assert_eq!(shell("echo done").call(&request("ewr", 1)), Ok(json!(null)));
        assert_eq!(shell("exec <&-; true").call(&request("ewr", 1)), Ok(json!(null)));
    }

    #[test]
    fn what_was_printed_is_the_result_also_where_something_holds_the_output_open() {
        let exec = shell("setsid sleep 3 & echo 42");
        assert_eq!(exec.call(&request("ewr", 1)), Ok(json!(42)));
    }

    #[test]
    fn the_environment_is_what_the_manifest_lists() {
        let names = |text: serde_json::Value| {
            text.as_str().unwrap().split(' ').map(str::to_owned).collect::<Vec<_>>()
        };
        let script = "printf '\"'; /usr/bin/env | /usr/bin/cut -d= -f1 | /usr/bin/sort | /usr/bin/tr '\\n' ' '; printf 'end\"'";
        let args = vec!["-c".to_owned(), script.to_owned()];
        let env = BTreeMap::from([("MODE".to_owned(), "fast".to_owned())]);
        let inherit = vec!["HOME".to_owned(), "ABIDE_NOT_SET".to_owned()];
        let exec = Exec::new(ExecConfig { args, env, inherit, ..config(Path::new("/bin/sh")) });
        let found = names(exec.call(&request("ewr", 1)).unwrap());
        assert!(
            found.contains(&"MODE".to_owned()) && !found.contains(&"CARGO_MANIFEST_DIR".to_owned()),
            "{found:?}"
        );
        assert_eq!(found.contains(&"HOME".to_owned()), std::env::var_os("HOME").is_some());
    }

    #[test]
    fn a_failure_says_its_status_and_what_was_on_standard_error() {
        let error = shell("echo 'valve stuck' >&2; exit 3").call(&request("ewr", 1)).unwrap_err();
        insta::assert_snapshot!(error, @"`/bin/sh` ended with exit status: 3: valve stuck");
        assert!(!error.permanent);
        let error = shell("kill -9 $$").call(&request("ewr", 1)).unwrap_err();
        insta::assert_snapshot!(error, @"`/bin/sh` ended with signal: 9 (SIGKILL)");
        let error = shell("head -c 100000 /dev/zero >&2; exit 1").call(&request("ewr", 1)).unwrap_err();
        assert!(error.message.len() < 1000, "{}", error.message.len());
    }

    #[test]
    fn a_program_that_is_not_there_is_not_tried_again() {
        let error = Exec::new(config(Path::new("/no/such/program"))).call(&request("ewr", 1)).unwrap_err();
        insta::assert_snapshot!(error, @"`/no/such/program` cannot be run: No such file or directory (os error 2)");
        assert!(error.permanent);
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("x.sh");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Exec::new(config(&script)).call(&request("ewr", 1)).unwrap_err().permanent);
    }

    #[test]
    fn too_much_output_is_no_reason_to_act_twice() {
        let print = |bytes: usize| {
            shell(&format!("printf '\"'; head -c {bytes} /dev/zero | tr '\\0' x; printf '\"'"))
        };
        let result = print(RESULT_BYTES_MAX - 2).call(&request("ewr", 1)).unwrap();
        assert_eq!(result.as_str().unwrap().len(), RESULT_BYTES_MAX - 2);
        let error = print(RESULT_BYTES_MAX - 1).call(&request("ewr", 1)).unwrap_err();
        assert!(error.permanent, "{error}");
    }

    #[test]
    fn the_timeout_takes_the_whole_group() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        // The sleeper holds the pipe open as long as it lives.
        let (ended, end) = mpsc::channel();
        let reader = pipe.clone();
        std::thread::spawn(move || ended.send(fs::read(reader).unwrap()));
        let script = format!("sleep 1000 > {} & wait", pipe.display());
        let timeout = Span::from_millis(500);
        let error = shell(&script).call(&Request { timeout, ..request("ewr", 1) }).unwrap_err();
        insta::assert_snapshot!(error, @"`/bin/sh` did not end within 500ms");
        assert_eq!(end.recv_timeout(LONG), Ok(Vec::new()));
    }
}

mod dispatcher {
    use super::*;

    /// A target that does as it is told, one word for each call, and tells of each.
    struct Told {
        began: Sender<(String, u64)>,
        words: Mutex<Receiver<Result<serde_json::Value, CallError>>>,
    }

    impl Target for Told {
        fn call(&self, request: &Request) -> Result<serde_json::Value, CallError> {
            self.began.send((request.object.to_string(), request.seq)).unwrap();
            self.words.lock().unwrap().recv_timeout(LONG).unwrap()
        }
    }

    type Word = Result<serde_json::Value, CallError>;

    type Calls = Receiver<(String, u64)>;

    fn told() -> (Arc<dyn Target>, Calls, Sender<Word>) {
        let (began, calls) = mpsc::channel();
        let (say, words) = mpsc::channel();
        (Arc::new(Told { began, words: Mutex::new(words) }), calls, say)
    }

    type Named<'a> = (&'a str, Arc<dyn Target>);

    fn start(targets: Vec<Named<'_>>, now: Arc<AtomicI64>) -> (Dispatcher, Receiver<Outcome>) {
        Dispatcher::new(DispatcherConfig {
            targets: targets.into_iter().map(|(name, target)| (name.into(), target)).collect(),
            workers_max: 4,
            backoff: Backoff { first: Span::ZERO, longest: Span::ZERO },
            clock: Arc::new(move || Timestamp(now.load(Ordering::SeqCst))),
        })
    }

    fn now(nanos: i64) -> Arc<AtomicI64> {
        Arc::new(AtomicI64::new(nanos))
    }

    fn failure() -> Word {
        Err(CallError::passing("no answer"))
    }

    #[test]
    fn one_is_in_flight_for_an_object_and_order_is_kept() {
        let (target, calls, say) = told();
        let (dispatcher, outcomes) = start(vec![("t", target)], now(0));
        for seq in 1..=3 {
            dispatcher.submit(request("ewr", seq));
        }
        dispatcher.submit(request("jfk", 9));
        let first: Vec<_> = (0..2).map(|_| calls.recv_timeout(LONG).unwrap()).collect();
        assert!(
            first.contains(&("ewr".to_owned(), 1)) && first.contains(&("jfk".to_owned(), 9)),
            "{first:?}"
        );
        assert!(calls.try_recv().is_err());
        for _ in 0..4 {
            say.send(Ok(json!(1))).unwrap();
        }
        let ended: Vec<_> = (0..4).map(|_| outcomes.recv_timeout(LONG).unwrap()).collect();
        let of_ewr: Vec<_> = ended.iter().filter(|o| &*o.object == "ewr").map(|o| o.seq).collect();
        assert_eq!(of_ewr, [1, 2, 3]);
        assert!(
            ended
                .iter()
                .all(|o| o.status == OutcomeStatus::Delivered { result: json!(1) } && o.attempts == 1)
        );
        assert!(dispatcher.stop(LONG).is_empty());
    }

    #[test]
    fn a_clock_that_is_set_back_takes_what_is_under_way_with_it() {
        let (target, calls, say) = told();
        let (dispatcher, outcomes) = start(vec![("t", target)], now(Span::from_secs(1000).0));
        dispatcher.submit(request("ewr", 1));
        dispatcher.submit(request("ewr", 2));
        calls.recv_timeout(LONG).unwrap();
        // The first is in flight and the second waits. Both were to be valid up to 1800 s.
        dispatcher.set_back(Span::from_secs(900));
        say.send(failure()).unwrap();
        let ended: Vec<_> = (0..2).map(|_| outcomes.recv_timeout(LONG).unwrap()).collect();
        assert_eq!(ended[0].status, OutcomeStatus::Abandoned { error: Some("no answer".to_owned()) });
        assert_eq!((&ended[1].status, ended[1].attempts), (&OutcomeStatus::Abandoned { error: None }, 0));
        assert!(dispatcher.stop(LONG).is_empty());
    }

    #[test]
    fn a_failure_is_tried_again_in_its_place() {
        let (target, calls, say) = told();
        let (dispatcher, outcomes) = start(vec![("t", target)], now(0));
        dispatcher.submit(request("ewr", 1));
        dispatcher.submit(request("ewr", 2));
        for word in [failure(), failure(), Ok(json!(null)), failure(), failure(), failure()] {
            say.send(word).unwrap();
        }
        let first = outcomes.recv_timeout(LONG).unwrap();
        assert_eq!(
            (first.seq, first.attempts, first.status),
            (1, 3, OutcomeStatus::Delivered { result: json!(null) })
        );
        let second = outcomes.recv_timeout(LONG).unwrap();
        assert_eq!(second.status, OutcomeStatus::Failed { error: "no answer".to_owned() });
        assert_eq!((second.seq, second.attempts), (2, 3));
        assert_eq!(calls.iter().take(6).map(|(_, seq)| seq).collect::<Vec<_>>(), [1, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn a_permanent_failure_is_not_tried_again_and_a_crash_is_one() {
        struct Crashes;
        impl Target for Crashes {
            fn call(&self, request: &Request) -> Word {
                assert!(request.seq != 1, "this target crashes on purpose");
                Err(CallError::permanent("never"))
            }
        }
        let (dispatcher, outcomes) = start(vec![("t", Arc::new(Crashes))], now(0));
        dispatcher.submit(request("ewr", 1));
        dispatcher.submit(request("ewr", 2));
        let statuses: Vec<_> = outcomes.iter().take(2).map(|o| (o.attempts, o.status)).collect();
        let failed = |error: &str| (1, OutcomeStatus::Failed { error: error.to_owned() });
        assert_eq!(statuses, [failed("the target `t` crashed"), failed("never")]);
    }

    #[test]
    fn what_is_no_longer_valid_is_not_sent() {
        let (target, calls, say) = told();
        let until = request("ewr", 1).valid_until;
        let clock = now(until.0);
        let (dispatcher, outcomes) = start(vec![("t", target)], Arc::clone(&clock));
        // At its last moment it still goes; it fails, and then it is over.
        dispatcher.submit(request("ewr", 1));
        dispatcher.submit(request("ewr", 2));
        calls.recv_timeout(LONG).unwrap();
        clock.store(until.0 + 1, Ordering::SeqCst);
        say.send(failure()).unwrap();
        let first = outcomes.recv_timeout(LONG).unwrap();
        assert_eq!(
            (first.attempts, first.status),
            (1, OutcomeStatus::Abandoned { error: Some("no answer".to_owned()) })
        );
        let second = outcomes.recv_timeout(LONG).unwrap();
        assert_eq!((second.attempts, second.status), (0, OutcomeStatus::Abandoned { error: None }));
        assert!(calls.try_recv().is_err());
    }

    #[test]
    fn a_wait_beyond_its_validity_is_not_waited() {
        let (target, _calls, say) = told();
        let (dispatcher, outcomes) = Dispatcher::new(DispatcherConfig {
            targets: BTreeMap::from([("t".into(), target)]),
            workers_max: 1,
            backoff: Backoff { first: Span::from_secs(1801), longest: Span::from_secs(3600) },
            clock: Arc::new(|| Timestamp(0)),
        });
        dispatcher.submit(request("ewr", 1));
        say.send(failure()).unwrap();
        let outcome = outcomes.recv_timeout(LONG).unwrap();
        assert_eq!(outcome.status, OutcomeStatus::Abandoned { error: Some("no answer".to_owned()) });
    }

    #[test]
    fn a_slow_target_holds_up_no_other() {
        let (slow, slow_calls, slow_say) = told();
        let (quick, _calls, say) = told();
        let (dispatcher, outcomes) = start(vec![("slow", slow), ("t", quick)], now(0));
        for n in 0..10 {
            dispatcher.submit(Request { target: "slow".into(), ..request(&format!("o{n}"), 1) });
        }
        // No more than its workers are busy with it.
        assert_eq!(slow_calls.iter().take(4).count(), 4);
        say.send(Ok(json!(null))).unwrap();
        dispatcher.submit(request("o0", 2));
        assert_eq!(outcomes.recv_timeout(LONG).unwrap().seq, 2);
        assert!(slow_calls.try_recv().is_err());
        for _ in 0..10 {
            slow_say.send(Ok(json!(null))).unwrap();
        }
        assert_eq!(outcomes.iter().take(10).filter(|o| o.seq == 1).count(), 10);
    }

    #[test]
    fn what_nothing_takes_ends_all_the_same() {
        let (dispatcher, outcomes) = start(Vec::new(), now(0));
        dispatcher.submit(Request { simulated: true, ..request("ewr", 1) });
        dispatcher.submit(request("ewr", 2));
        let statuses: Vec<_> = outcomes.iter().take(2).map(|o| (o.attempts, o.status)).collect();
        let failed = OutcomeStatus::Failed { error: "there is no target `t`".to_owned() };
        assert_eq!(statuses, [(0, OutcomeStatus::Simulated), (0, failed)]);
    }

    #[test]
    fn a_stop_waits_for_what_is_in_flight_and_gives_back_the_rest() {
        let (target, calls, say) = told();
        let (dispatcher, outcomes) = start(vec![("t", target)], now(0));
        dispatcher.submit(request("ewr", 1));
        dispatcher.submit(request("ewr", 2));
        calls.recv_timeout(LONG).unwrap();
        say.send(Ok(json!(null))).unwrap();
        assert_eq!(outcomes.recv_timeout(LONG).unwrap().seq, 1);
        calls.recv_timeout(LONG).unwrap();
        // The second never answers within the bound: it is pending.
        let pending = dispatcher.stop(Duration::ZERO);
        assert_eq!(pending.iter().map(|r| r.seq).collect::<Vec<_>>(), [2]);
        say.send(Ok(json!(null))).unwrap();
    }

    #[test]
    fn a_retry_that_waits_is_pending_at_a_stop() {
        let (target, _calls, say) = told();
        let (dispatcher, outcomes) = Dispatcher::new(DispatcherConfig {
            targets: BTreeMap::from([("t".into(), target)]),
            workers_max: 2,
            backoff: Backoff::default(),
            clock: Arc::new(|| Timestamp(0)),
        });
        dispatcher.submit(request("ewr", 1));
        say.send(failure()).unwrap();
        dispatcher.submit(request("jfk", 2));
        say.send(Ok(json!(null))).unwrap();
        let _ = outcomes.recv_timeout(LONG).unwrap();
        assert_eq!(dispatcher.stop(LONG).len(), 1);
    }

    #[test]
    fn the_wait_doubles_up_to_its_bound() {
        let backoff = Backoff::default();
        let waits: Vec<_> = [1, 2, 3, 12, 13, 64, u32::MAX].map(|n| backoff.after(n).to_string()).into();
        assert_eq!(waits, ["1s", "2s", "4s", "34m8s", "1h", "1h", "1h"]);
    }
}

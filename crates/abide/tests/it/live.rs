//! A host in real time: followed, stopped, resumed.

use rustix::process::Signal;

use crate::asking::LAMP;
use crate::support::{Sandbox, heads};

#[test]
fn signals_stop_it_with_everything_in_order() {
    let sandbox = Sandbox::new();
    sandbox.write("lamp.yaml", LAMP);
    for signal in [Signal::INT, Signal::TERM] {
        let host = sandbox.start(&["run", "lamp.yaml", "--tick", "5ms", "--json"]);
        let started: serde_json::Value =
            serde_json::from_str(&host.wait_for("\"event\":\"started\"")).unwrap();
        assert_eq!(started["resumed"], signal == Signal::TERM);
        host.wait_for("\"tick\"");
        host.signal(signal);
        let (code, lines) = host.end();
        assert_eq!(code, Some(0));
        let finished: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        assert_eq!((&finished["event"], &finished["objects"][0]["id"]), (&"finished".into(), &"lamp".into()));
        assert!(!sandbox.store("lamp").join("host.sock").exists());
        sandbox.abide(&["verify"]).yes();
    }
}

#[test]
fn a_lineage_is_followed_while_it_grows() {
    let sandbox = Sandbox::new();
    sandbox.write("lamp.yaml", LAMP);
    let host = sandbox.start(&["run", "lamp.yaml", "--tick", "5ms", "--json"]);
    host.wait_for("\"tick\"");
    let follower = sandbox.start(&["lineage", "lamp", "--follow", "--json"]);
    follower.wait_for("\"genesis\"");
    sandbox.abide(&["observe", "lamp", "observe", "lux=3"]).yes();
    let acted: serde_json::Value = serde_json::from_str(&follower.wait_for("\"rule\":\"dark\"")).unwrap();
    assert_eq!(acted["seq"], 2);
    // Killed without a word, the host leaves what it acknowledged; and the follower sees what the next one adds.
    host.kill();
    sandbox.abide(&["observe", "lamp", "observe", "lux=40"]).yes();
    follower.wait_for("\"lux\":40.0");
    assert_eq!(heads(&sandbox, &sandbox.store("lamp")).len(), 1);
    sandbox.abide(&["verify"]).yes();
}

#[test]
fn lines_from_standard_input_are_taken_as_they_come() {
    use std::io::Write as _;

    let sandbox = Sandbox::with_live_tank();
    let (host, mut input) = sandbox.run_live_tank();
    writeln!(input, "broken\n2026-03-01T00:10:00Z,1.5").unwrap();
    sandbox.until(&["show", "tank", "--json"], |ran| ran.json()["memory"]["level"] == 1.5);
    rustix::process::kill_process(rustix::process::Pid::from_child(&host), Signal::INT).unwrap();
    let output = host.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("skipped `gauge` line 3"), "{said}");
}

/// Also where someone opened the folder and the socket to all. Only root can try to be another user.
#[test]
fn another_users_process_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    const NOBODY: u32 = 65534;
    // Of the system's Perl, which every user can run.
    const CONNECT: &str =
        "socket(S, PF_UNIX, SOCK_STREAM, 0) or die; connect(S, sockaddr_un($ARGV[0])) or die;";
    const ASK: &str = "syswrite(S, qq({\"op\":\"status\"}\\n));";
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("lamp.yaml", LAMP);
    let host = sandbox.start(&["run", "lamp.yaml", "--tick", "5ms", "--json"]);
    host.wait_for("\"tick\"");
    let socket = sandbox.store("lamp").join("host.sock");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    for folder in socket.ancestors().skip(1).take_while(|folder| folder.starts_with(sandbox.path(""))) {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let reaches = std::process::Command::new("/usr/bin/perl")
        .args(["-e", "exit !-S $ARGV[0]"])
        .arg(&socket)
        .env_clear()
        .uid(NOBODY)
        .status();
    if !reaches.is_ok_and(|status| status.success()) {
        // There is no Perl, or the folder for temporary files is closed to others.
        return;
    }
    let ask = |uid: Option<u32>| {
        let mut perl = std::process::Command::new("/usr/bin/perl");
        // Whoever is refused is told so before it asks.
        let asks = if uid.is_none() { ASK } else { "" };
        perl.arg("-MSocket").arg("-e").arg(format!("{CONNECT} {asks} print <S>")).arg(&socket).env_clear();
        if let Some(uid) = uid {
            perl.uid(uid);
        }
        String::from_utf8(perl.output().unwrap().stdout).unwrap()
    };
    assert!(ask(None).contains("records"), "{}", ask(None));
    assert_eq!(ask(Some(NOBODY)).trim(), r#"{"error":"the host belongs to another user"}"#);
}

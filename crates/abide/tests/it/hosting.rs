//! `host`, without a lattice: objects run on, and what leads nowhere is refused at once. With one, it is tested in `interop/`.

use rustix::process::Signal;

use crate::asking::LAMP;
use crate::support::{Sandbox, snapshot};

/// Where nobody answers.
const NOWHERE: &str = "nats://127.0.0.1:1";

#[test]
fn objects_run_without_a_lattice() {
    let sandbox = Sandbox::new();
    sandbox.write("lamp.yaml", LAMP);
    sandbox.abide(&["run", "lamp.yaml", "--ticks", "1"]).yes();
    let host = sandbox.start(&["host", "--nats-url", NOWHERE, "--tick", "10ms", "--json"]);
    host.wait_for("\"tick\"");
    sandbox.abide(&["observe", "lamp", "observe", "lux=3"]).yes();
    sandbox.until(&["show", "lamp", "--json"], |shown| shown.json()["memory"]["on"] == true);
    host.signal(Signal::TERM);
    let (code, lines) = host.end();
    assert_eq!(code, Some(0));
    assert!(lines.last().unwrap().contains("\"finished\""));
    sandbox.abide(&["verify"]).yes();
    // That nobody answers is said once, on standard error, and no password with it; and an empty variable counts as unset.
    let mut farm = sandbox.command(&["host", "--tick", "100ms", "--ticks", "25", "--lattice", "farm"]);
    farm.env("ABIDE_NATS_URL", NOWHERE.replace("//", "//me:secret@"));
    for name in ["WASMCLOUD_CTL_PORT", "WASMCLOUD_CTL_TLS", "WASMCLOUD_CTL_SEED", "WASMCLOUD_HOST_SEED"] {
        farm.env(name, "");
    }
    let ran = sandbox.ran(&mut farm).yes();
    assert!(!ran.text().contains("secret"), "{}", ran.text());
    let said = format!("lattice `farm`: NATS at {NOWHERE} does not answer; the host runs on without it");
    assert_eq!(ran.err.matches(&said).count(), 1, "{}", ran.text());
}

#[test]
fn what_leads_nowhere_is_refused() {
    let sandbox = Sandbox::with_tank();
    let said = |name: &str, args: &[&str]| {
        let ran = sandbox.abide(args);
        assert_eq!(ran.code, Some(2), "{}", ran.text());
        snapshot(name, &ran.text());
    };
    said("host_replayed", &["host", "tank"]);
    sandbox.write("lamp.yaml", LAMP);
    sandbox.abide(&["run", "lamp.yaml", "--ticks", "1"]).yes();
    said("host_lattice", &["host", "--lattice", "a.b"]);
    said("host_prefix", &["host", "--ctl-topic-prefix", "a b.c"]);
    said("host_address", &["host", "--nats-url", "nats://:x"]);
    said("host_credentials", &["host", "--nats-creds", "nothing.creds"]);
    said("host_jwt_alone", &["host", "--nats-jwt", "x"]);
    said("host_label", &["host", "--label", "zone"]);
    let mut seeded = sandbox.command(&["host"]);
    let seed = "SNAEU5HYIVRQ2TQ5FRLZZHBQKA6OIYJNSHMDVQHPKCNTTPXMYRHZRZPXVI";
    snapshot("host_seed", &sandbox.ran(seeded.env("WASMCLOUD_HOST_SEED", seed)).text());
}

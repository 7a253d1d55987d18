//! `observe`, `mutate`, `release`, `seal`: of a stopped host and of a running one.

use crate::support::{Sandbox, snapshot};

/// A lamp in real time, whose rule asks for more than its slope allows.
pub(crate) const LAMP: &str = "\
schema: abide/v1
name: lamp
version: 1.0.0
fields:
  lux: { type: number, minimum: 0, maximum: 200000, default: 100 }
  on: { type: boolean, default: false }
  tries: { type: integer, minimum: 0, maximum: 1000, default: 0 }
mutations:
  observe: { from: [observation], args: { lux: { $ref: '#/fields/lux' } }, ignore: args.lux == self.lux, set: { lux: args.lux } }
  switch: { from: [rule, operator], args: { to: { $ref: '#/fields/on' } }, requires: args.to != self.on, set: { on: args.to } }
  burst: { from: [rule], requires: self.lux > 1000.0, set: { tries: self.tries + 1 } }
rules:
  - { name: dark, when: self.lux < 10 && !self.on, then: { mutate: switch, args: { to: true } } }
  - { name: broken, when: self.lux > 900 && self.lux <= 1000, every: 1ms, then: { mutate: burst } }
safe_state: { mutate: switch, args: { to: false } }
trust_slope: { quarantine: { denials: 3, within: 1h } }
";

#[test]
fn of_a_stopped_host() {
    let sandbox = Sandbox::new();
    sandbox.write("lamp.yaml", LAMP);
    sandbox.abide(&["run", "lamp.yaml", "--ticks", "1"]).yes();
    ask_all(&sandbox);
}

#[test]
fn of_a_running_host() {
    let sandbox = Sandbox::new();
    sandbox.write("lamp.yaml", LAMP);
    let host = sandbox.start(&["run", "lamp.yaml", "--tick", "10ms", "--json"]);
    host.wait_for("\"tick\"");
    ask_all(&sandbox);
    snapshot("locked", &sandbox.abide(&["run", "lamp.yaml"]).text());
}

/// The same answers, whoever gives them.
fn ask_all(sandbox: &Sandbox) {
    let said = |name: &str, args: &[&str]| {
        let ran = sandbox.abide(args);
        snapshot(name, &ran.text());
        ran
    };
    said("observe", &["observe", "lamp", "observe", "lux=50"]).yes();
    said("observe_ignored", &["observe", "lamp", "observe", "lux=50"]).yes();
    said("observe_wrong_type", &["observe", "lamp", "observe", "lux=bright"]);
    said("observe_out_of_bounds", &["observe", "lamp", "observe", "lux=-1"]);
    said("observe_without_argument", &["observe", "lamp", "observe"]);
    said("observe_not_open", &["observe", "lamp", "switch", "to=true"]);
    said("mutate", &["mutate", "lamp", "switch", "to=true"]).yes();
    said("mutate_requires", &["mutate", "lamp", "switch", "to=true"]);
    said("mutate_wrong_type", &["mutate", "lamp", "switch", "to=5"]);
    let denied = sandbox.abide(&["mutate", "lamp", "switch", "to=5", "--json"]);
    assert_eq!(denied.code, Some(1));
    let reason = &denied.json()["reason"];
    assert_eq!((&reason["code"], &reason["field"]), (&"argument".into(), &"to".into()));
    let others = sandbox.abide(&["mutate", "lamp", "switch", "to=false", "--keys", "others"]);
    assert_ne!(others.code, Some(0), "another's key has no say: {}", others.text());

    said("release_active", &["release", "lamp"]);
    sandbox.abide(&["observe", "lamp", "observe", "lux=950"]).yes();
    // Each look at a stopped host leaves it as it is, so an observation a time gives it the ticks that it needs.
    for lux in ["951", "952", "953", "954"] {
        sandbox.abide(&["observe", "lamp", "observe", &format!("lux={lux}")]).yes();
    }
    let shown =
        sandbox.until(&["show", "lamp", "--json"], |ran| ran.json()["status"] == "quarantined").json();
    assert_eq!(shown["memory"]["on"], false, "its safe state was asked");
    sandbox.abide(&["observe", "lamp", "observe", "lux=50"]).yes();
    let released = sandbox.abide(&["release", "lamp", "--json"]).yes().json();
    assert_eq!((&released["verdict"], &released["object"]), (&"recorded".into(), &"lamp".into()));
    assert_eq!(sandbox.abide(&["show", "lamp", "--json"]).json()["status"], "active");
    sandbox.abide(&["mutate", "lamp", "switch", "to=true"]).yes();
    sandbox.abide(&["seal", "lamp"]).yes();
    said("seal_twice", &["seal", "lamp"]);
    said("observe_sealed", &["observe", "lamp", "observe", "lux=1"]);
    sandbox.abide(&["replay", "lamp", "--execute"]).yes();
    sandbox.abide(&["verify"]).yes();
}

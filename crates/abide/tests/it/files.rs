//! `new`, `check`, `schema`, `wit`, `keys`, `completions`: what needs no store.

use crate::support::{Sandbox, snapshot};

#[test]
fn a_new_object_is_right_and_runs_at_once() {
    let sandbox = Sandbox::new();
    snapshot("new", &sandbox.abide(&["new", "tank"]).text());
    snapshot("new_check", &sandbox.abide(&["check", "tank", "tank/tank.yaml"]).text());
    snapshot("new_run", &sandbox.abide(&["run", "tank"]).text());
    snapshot("new_twice", &sandbox.abide(&["new", "tank"]).text());
    snapshot("new_bad_name", &sandbox.abide(&["new", "deep/Tank One"]).text());
    let made = sandbox.abide(&["new", "deep/well-2", "--json"]).yes().json();
    assert_eq!(made["name"], "well-2");
    sandbox.abide(&["check", "deep/well-2"]).yes();
    for file in made["files"].as_array().unwrap() {
        assert!(!sandbox.read(&format!("deep/well-2/{}", file.as_str().unwrap())).contains("NAME"));
    }
}

/// That the projects build and run is for `cargo xtask starters`: it takes the tools of their languages.
#[test]
fn a_behaviour_comes_with_its_project() {
    let sandbox = Sandbox::new();
    for language in ["rust", "js", "python"] {
        let folder = format!("{language}-tank");
        let made = sandbox.abide(&["new", &folder, "--behaviour", language, "--json"]).yes().json();
        let files: Vec<_> =
            made["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
        insta::assert_snapshot!(format!("new_{language}"), files.join("\n"));
        for file in files {
            let text = sandbox.read(&format!("{folder}/{file}"));
            let left =
                ["NAME", "IMAGE", "NEEDS", "MODULE", "\"SDK\""].into_iter().find(|word| text.contains(word));
            assert_eq!(left, None, "{folder}/{file}:\n{text}");
        }
        sandbox.abide(&["check", &format!("{folder}/{folder}.yaml")]).yes();
    }
    let unbuilt = sandbox.abide(&["run", "js-tank"]);
    assert_eq!(unbuilt.code, Some(1));
    snapshot("new_unbuilt", &unbuilt.text());
    snapshot(
        "new_without_sdk",
        &sandbox.abide(&["new", "x", "--behaviour", "rust", "--sdk", "nowhere"]).text(),
    );
    assert!(!sandbox.path("x").exists());
    assert_eq!(sandbox.abide(&["new", "y", "--sdk", "nowhere"]).code, Some(2));
}

const BAD_SCHEMA: &str = "\
schema: abide/v1
name: bad
version: 1.0.0
fields:
  level: { type: numbr, minimum: 0 }
  name: { type: string }
mutations:
  set: { from: [operater], set: { levl: 3 } }
rules:
  - { name: r, when: self.name == 3, then: { mutate: sett } }
";

const BAD_MANIFEST: &str = "\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: { name: x }
spec:
  components:
    - name: a
      type: object
      properties: { schema: bad.yaml, objects: [a, a] }
    - name: b
      type: objct
      properties: { schema: missing.yaml }
";

#[test]
fn check_says_everything_that_is_wrong() {
    let sandbox = Sandbox::new();
    sandbox.write("bad.yaml", BAD_SCHEMA);
    sandbox.write("app.yaml", BAD_MANIFEST);
    snapshot("check_schema", &sandbox.abide(&["check", "bad.yaml"]).text());
    // The schema is named by the manifest and by itself, and reported once.
    snapshot("check_manifest", &sandbox.abide(&["check", ".", "bad.yaml"]).text());
    let found = sandbox.abide(&["check", "bad.yaml", "--json"]);
    assert_eq!(found.code, Some(1));
    snapshot("check_json", &found.text());
    snapshot("run_bad_manifest", &sandbox.abide(&["run", "app.yaml"]).text());
    let refused = sandbox.abide(&["run", "app.yaml", "--json"]);
    assert_eq!((refused.code, refused.json()["event"].as_str()), (Some(1), Some("refused")));
}

#[test]
fn check_bears_whatever_it_is_given() {
    let sandbox = Sandbox::new();
    sandbox.write("empty.yaml", "");
    sandbox.write("other.yaml", "shcema: abide/v1\n");
    std::fs::write(sandbox.path("binary.yaml"), [0xff, 0xfe, 0]).unwrap();
    sandbox.write("escape.yaml", "schema: \"\\x1b[2Jabide\"\n");
    let fields: Vec<_> = (0..900).map(|n| format!("f{n}: {{ type: numbr }}")).collect();
    let wide = format!(
        "{{schema: abide/v1, name: x, version: 1.0.0, fields: {{ {} }}, mutations: {{ {}: 1 }}}}",
        fields.join(", "),
        "x".repeat(900_000)
    );
    sandbox.write("wide.yaml", &wide);
    snapshot("check_empty", &sandbox.abide(&["check", "empty.yaml"]).text());
    snapshot("check_other", &sandbox.abide(&["check", "other.yaml"]).text());
    snapshot("check_binary", &sandbox.abide(&["check", "binary.yaml"]).text());
    snapshot("check_missing", &sandbox.abide(&["check", "missing.yaml"]).text());
    snapshot("check_folder", &sandbox.abide(&["check", "."]).text());
    let escape = sandbox.abide(&["check", "escape.yaml"]);
    assert!(!escape.out.contains('\u{1b}'), "{:?}", escape.out);
    let wide = sandbox.abide(&["check", "wide.yaml"]);
    assert_eq!(wide.code, Some(1));
    assert!(wide.out.len() < 200_000, "a long line is not repeated for each error: {}", wide.out.len());
    sandbox.write("long.yaml", &"# é\n".repeat(400_000));
    let long = sandbox.abide(&["check", "long.yaml"]);
    assert!(long.out.contains("at most 1048576 are read"), "{}", long.text());
}

#[test]
fn standard_input_and_warnings_are_read() {
    let sandbox = Sandbox::with_tank();
    let mut command = sandbox.command(&["check", "-"]);
    let schema = std::fs::File::open(sandbox.path("tank/tank.yaml")).unwrap();
    let ran = sandbox.ran(command.stdin(schema));
    assert_eq!(ran.yes().out, "ok standard input\n");
    let tick =
        sandbox.read("tank/app.yaml").replace("version: v1.0.0", "version: v1.0.0, abide.dev/tick: 5s");
    sandbox.write("tank/app.yaml", &tick);
    snapshot("check_warning", &sandbox.abide(&["check", "tank"]).text());
}

#[test]
fn a_schema_has_three_other_forms() {
    let sandbox = Sandbox::with_run_tank();
    let form = |of: &str, format: &str| sandbox.abide(&["schema", of, "--format", format]).yes();
    for format in ["json-schema", "tools", "yaml"] {
        assert_eq!(
            form("tank", format).out,
            form("tank/tank.yaml", format).out,
            "of an object and of its file"
        );
    }
    assert_eq!(form("tank", "json-schema").json()["properties"]["level"]["maximum"], 3.0);
    assert_eq!(form("tank", "tools").json()[0]["name"], "set_pump");
    sandbox.write("again.yaml", &form("tank", "yaml").out);
    sandbox.abide(&["check", "again.yaml"]).yes();
    snapshot("schema_missing", &sandbox.abide(&["schema", "tnk.yaml"]).text());
    snapshot("schema_unknown", &sandbox.abide(&["schema", "tnk"]).text());
    snapshot("schema_manifest", &sandbox.abide(&["schema", "tank/app.yaml"]).text());
}

#[test]
fn a_schema_has_a_world() {
    let sandbox = Sandbox::with_run_tank();
    let printed = sandbox.abide(&["wit", "tank/tank.yaml"]).yes().out;
    assert!(
        printed.contains("\nworld behaviour {") && printed.contains("\npackage schema:tank@"),
        "{printed}"
    );
    assert_eq!(sandbox.abide(&["wit", "tank"]).yes().out, printed, "of an object and of its file");
    let json = sandbox.abide(&["wit", "tank", "--json"]).yes().json();
    assert_eq!(
        (json["world"].as_str(), json["package"].as_str()),
        (Some(&*printed), Some("schema:tank@1.0.0"))
    );
    assert!(json["dependencies"]["wasi-config"].as_str().unwrap().contains("interface store"));

    snapshot("wit_folder", &sandbox.abide(&["wit", "tank/tank.yaml", "-o", "guest/wit"]).text());
    assert_eq!(sandbox.read("guest/wit/world.wit"), printed);
    assert!(sandbox.read("guest/wit/deps/abide-object/package.wit").contains("package abide:object@0.1.0;"));
    sandbox.write("guest/wit/world.wit", &printed.replace("world behaviour", "world other"));
    let again = sandbox.abide(&["wit", "tank", "-o", "guest/wit", "--json"]).yes().json();
    assert_eq!(
        (again["folder"].as_str(), again["files"][0].as_str()),
        (Some("guest/wit"), Some("world.wit"))
    );
    assert_eq!(sandbox.read("guest/wit/world.wit"), printed, "what it wrote it replaces");
    sandbox.write("guest/wit/world.wit", "package my:own;\n");
    snapshot("wit_not_its_own", &sandbox.abide(&["wit", "tank", "-o", "guest/wit"]).text());
    assert_eq!(sandbox.read("guest/wit/world.wit"), "package my:own;\n");
}

#[test]
fn a_world_needs_a_schema() {
    let sandbox = Sandbox::with_tank();
    sandbox.write("bad.yaml", BAD_SCHEMA);
    sandbox.write("file", "");
    snapshot("wit_missing", &sandbox.abide(&["wit", "tnk.yaml"]).text());
    snapshot("wit_manifest", &sandbox.abide(&["wit", "tank/app.yaml"]).text());
    snapshot("wit_bad", &sandbox.abide(&["wit", "bad.yaml", "-o", "wit"]).text());
    assert!(!sandbox.path("wit").exists(), "nothing was written");
    let onto_a_file = sandbox.abide(&["wit", "tank/tank.yaml", "-o", "file"]);
    assert_eq!(onto_a_file.code, Some(3), "{}", onto_a_file.text());
}

#[test]
fn keys_are_made_once_and_kept_to_their_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    let first = sandbox.abide(&["keys"]).yes();
    snapshot("keys", &first.text());
    assert_eq!(sandbox.abide(&["keys"]).out, first.out);
    let json = sandbox.abide(&["keys", "--json"]).yes().json();
    assert!(first.out.contains(json["identity"].as_str().unwrap()));
    let key = sandbox.path("home/.config/abide/keys/host.nk");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    snapshot("keys_open", &sandbox.abide(&["keys"]).text());
    assert_eq!(sandbox.abide(&["keys", "--keys", "other"]).code, Some(0));
}

#[test]
fn help_and_completions_are_there_for_every_command() {
    let sandbox = Sandbox::new();
    let help = sandbox.abide(&["--help"]).yes().out;
    let commands = [
        "new",
        "check",
        "run",
        "host",
        "ls",
        "show",
        "schema",
        "wit",
        "observe",
        "mutate",
        "release",
        "seal",
        "lineage",
        "replay",
        "why",
        "verify",
        "keys",
        "completions",
    ];
    for command in commands {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
        let own = sandbox.abide(&[command, "--help"]).yes().out;
        assert!(
            own.contains("Examples:") && own.contains("--json") && own.contains("--data-dir"),
            "{command}: {own}"
        );
    }
    for shell in ["bash", "fish", "zsh"] {
        assert!(sandbox.abide(&["completions", shell]).yes().out.contains("lineage"), "{shell}");
    }
}

#[test]
fn only_a_module_with_a_world_makes_a_component() {
    let sandbox = Sandbox::new();
    let check = |bytes: &[u8], expected: &str| {
        std::fs::write(sandbox.path("module.wasm"), bytes).unwrap();
        let said = sandbox.abide(&["componentize", "module.wasm", "-o", "component.wasm"]).text();
        assert!(said.contains(expected), "{said}");
        assert!(!sandbox.path("component.wasm").exists(), "nothing was written");
    };
    check(b"#!/bin/sh", "is not a WebAssembly module");
    check(b"\0asm\x0d\0\x01\0", "is a component already");
    check(b"\0asm\x01\0\0\0", "carries no world");
    check(b"\0asm\x01\0\0\0component-type:", "does not make a component");
}

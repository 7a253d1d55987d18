//! Effects over `https:`: the certificates that are trusted are those of the system, or of `SSL_CERT_FILE`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::Sandbox;

const SCHEMA: &str = "
schema: abide/v1
name: asking
version: 1.0.0
fields:
  asked: { type: boolean, default: false }
  status: { type: integer, default: 0 }
  failure: { type: string, maxLength: 1000, default: '' }
mutations:
  ask:
    from: [rule]
    args: {}
    set: { asked: 'true' }
    effect: { interface: 'abide:http/client', function: request, args: [{ method: GET, url: state }], valid_for: 1h, timeout: 20s, retries: 0, result: answered, error: failed }
  answered: { from: [observation], args: { status: { $ref: '#/fields/status' } }, set: { status: args.status } }
  failed: { from: [observation], args: { message: { $ref: '#/fields/failure' } }, set: { failure: args.message } }
rules:
  - { name: ask, when: '!self.asked', then: { mutate: ask } }
";

/// A server with a certificate of its own for `localhost`, and what it was asked: the certificate as PEM.
fn serve() -> (SocketAddr, String, Receiver<String>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, requests) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream =
                StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream.unwrap());
            let mut request = [0; 4096];
            // A client that does not trust the certificate ends the handshake.
            let Ok(length) = stream.read(&mut request) else { continue };
            let _ = asked.send(String::from_utf8_lossy(&request[..length]).into_owned());
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (address, made.cert.pem(), requests)
}

/// Runs an object that asks once, until it has its answer: its memory.
fn ask(sandbox: &Sandbox, folder: &str, host: &str, certificates: &str) -> serde_json::Value {
    let manifest = format!(
        "apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{ name: asking, annotations: {{ abide.dev/tick: 5ms }} }}
spec:
  components:
    - name: asking
      type: object
      properties: {{ schema: file://./asking.yaml, objects: [one] }}
      traits:
        - type: link
          properties: {{ target: web, namespace: abide, package: http, interfaces: [client] }}
    - name: web
      type: capability
      properties: {{ image: abide+builtin://http, config: [ {{ name: web, properties: {{ allowed_hosts: ['{host}'], base_url: 'https://{host}/' }} }} ] }}
"
    );
    sandbox.write("app.yaml", &manifest);
    sandbox.write("asking.yaml", SCHEMA);
    let mut command = sandbox.command(&["run", "app.yaml", "--quiet", "--data-dir", folder]);
    command.env("SSL_CERT_FILE", sandbox.path(certificates)).stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = command.spawn().unwrap();
    let shown = sandbox.until(&["show", "one", "--json", "--data-dir", folder], |ran| {
        let is_answered = |memory: &serde_json::Value| memory["status"] != 0 || memory["failure"] != "";
        ran.code == Some(0) && is_answered(&ran.json()["memory"])
    });
    kill_process(Pid::from_child(&run), Signal::TERM).unwrap();
    assert!(run.wait().unwrap().success());
    shown.json()["memory"].clone()
}

#[test]
fn a_certificate_is_checked_and_so_is_its_name() {
    let sandbox = Sandbox::new();
    let (address, certificate, requests) = serve();
    let (_, other, _) = serve();
    sandbox.write("trusted.pem", &certificate);
    sandbox.write("other.pem", &other);
    let port = address.port();

    let memory = ask(&sandbox, "trusting", &format!("localhost:{port}"), "trusted.pem");
    assert_eq!((&memory["status"], &memory["failure"]), (&204.into(), &"".into()));
    assert!(requests.recv().unwrap().starts_with("GET /state HTTP/1.1\r\n"));

    // To run its rules again asks nobody.
    sandbox.abide(&["replay", "one", "--execute", "--data-dir", "trusting"]).yes();
    assert!(requests.try_recv().is_err());

    let memory = ask(&sandbox, "mistrusting", &format!("localhost:{port}"), "other.pem");
    assert_eq!(memory["status"], 0, "{memory}");
    assert!(memory["failure"].as_str().unwrap().contains("certificate"), "{memory}");

    let memory = ask(&sandbox, "misnamed", &format!("127.0.0.1:{port}"), "trusted.pem");
    assert_eq!(memory["status"], 0, "{memory}");
    assert!(memory["failure"].as_str().unwrap().contains("certificate"), "{memory}");
    assert!(requests.try_recv().is_err(), "nothing was asked over a connection that is not trusted");
}

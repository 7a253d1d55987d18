//! Who the host is to a registry.

use std::collections::BTreeMap;

use abide_oci::{Credential, FetchError, Options, Registries};

use crate::registry::{Fault, Guard, PASSWORD, Registry, TOKEN, USER};
use crate::support::Bench;

#[test]
fn a_name_and_a_password_let_in() {
    for guard in [Guard::Basic, Guard::Bearer] {
        let bench = Bench::with_image(b"first");
        bench.registry.guard(guard);
        let host = host(&bench, &bench.registry.address, named(PASSWORD));
        assert_eq!(host.fetch(&bench.registry.reference(":1.0.0")).unwrap(), b"first");
    }
}

#[test]
fn a_token_lets_in() {
    let bench = Bench::with_image(b"first");
    bench.registry.guard(Guard::Bearer);
    let host = host(&bench, &bench.registry.address, token(TOKEN));
    assert_eq!(host.fetch(&bench.registry.reference(":1.0.0")).unwrap(), b"first");
}

#[test]
fn without_the_right_ones_it_is_told_who_wants_some() {
    for guard in [Guard::Basic, Guard::Bearer] {
        for (credential, identity) in [
            (Credential::default(), "without credentials"),
            (named("wrong"), "with the credentials"),
            (token("wrong"), "with the credentials"),
        ] {
            let bench = Bench::with_image(b"first");
            bench.registry.guard(guard);
            let host = host(&bench, &bench.registry.address, credential);
            let error = host.fetch(&bench.registry.reference(":1.0.0")).unwrap_err();
            assert!(matches!(error, FetchError::Unauthorized { .. }), "{error}");
            let said = error.to_string();
            assert!(
                said.contains(&format!("give the host credentials for `{}`", bench.registry.address)),
                "{said}"
            );
            assert!(said.contains(identity), "{said}");
            assert!(!said.contains("wrong"), "{said}");
        }
    }
}

#[test]
fn credentials_that_come_later_are_merged_in() {
    let bench = Bench::with_image(b"first");
    bench.registry.guard(Guard::Bearer);
    let reference = bench.registry.reference(":1.0.0");
    let host = host(&bench, &bench.registry.address, named("wrong"));
    host.fetch(&reference).unwrap_err();
    // As some write a registry.
    let written = format!("https://{}/", bench.registry.address);
    host.set_credentials(BTreeMap::from([(written, named(PASSWORD))]));
    host.set_credentials(BTreeMap::from([("elsewhere.example".to_owned(), named("else"))]));
    assert_eq!(host.fetch(&reference).unwrap(), b"first");
}

#[test]
fn no_other_registry_sees_them() {
    for guard in [Guard::Basic, Guard::Bearer] {
        let bench = Bench::with_image(b"first");
        bench.registry.guard(guard);
        let host = host(&bench, "elsewhere.example", named(PASSWORD));
        let error = host.fetch(&bench.registry.reference(":1.0.0")).unwrap_err();
        assert!(matches!(error, FetchError::Unauthorized { identity: "without credentials", .. }), "{error}");
        let requests = bench.registry.take_requests();
        assert!(!requests.is_empty());
        assert!(
            requests.iter().all(|request| !request.headers.contains_key("authorization")),
            "{requests:?}"
        );
    }
}

#[test]
fn where_a_blob_has_moved_to_sees_none() {
    for guard in [Guard::Basic, Guard::Bearer] {
        let bench = Bench::with_image(b"first");
        let store = Registry::start();
        store.put_blob(b"first");
        bench.registry.guard(guard);
        bench.registry.fault(Fault::MovedBlob(store.address.clone()));
        let host = host(&bench, &bench.registry.address, named(PASSWORD));
        assert_eq!(host.fetch(&bench.registry.reference(":1.0.0")).unwrap(), b"first");
        let requests = store.take_requests();
        assert_eq!(requests.len(), 1);
        assert!(!requests[0].headers.contains_key("authorization"), "{requests:?}");
    }
}

#[test]
fn half_a_credential_is_told_of_before_anybody_is_asked() {
    let name = || Some(USER.to_owned());
    let halves = [
        Credential { username: name(), ..Credential::default() },
        Credential { password: Some(PASSWORD.into()), ..Credential::default() },
        token("two\r\nlines"),
    ];
    for credential in halves {
        let bench = Bench::with_image(b"first");
        let host = host(&bench, &bench.registry.address, credential);
        let error = host.fetch(&bench.registry.reference(":1.0.0")).unwrap_err();
        assert!(matches!(error, FetchError::Credential { .. }), "{error}");
        assert_eq!(bench.registry.connections(), 0);
    }
}

#[test]
fn secrets_are_not_shown() {
    let bench = Bench::with_image(b"first");
    let secret = Credential { token: Some("egg-9".into()), ..named("nest-9") };
    let options =
        Options { credentials: BTreeMap::from([("ghcr.io".to_owned(), secret.clone())]), ..bench.options() };
    let shown = format!("{secret:?} {options:?} {:?}", Registries::new(options.clone()).unwrap());
    assert!(shown.contains("robin") && shown.contains("ghcr.io"), "{shown}");
    assert!(!shown.contains("egg-9") && !shown.contains("nest-9"), "{shown}");
}

fn host(bench: &Bench, registry: &str, credential: Credential) -> Registries {
    let credentials = BTreeMap::from([(registry.to_owned(), credential)]);
    Registries::new(Options { credentials, ..bench.options() }).unwrap()
}

fn named(password: &str) -> Credential {
    Credential { username: Some(USER.into()), password: Some(password.into()), token: None }
}

fn token(token: &str) -> Credential {
    Credential { token: Some(token.into()), ..Credential::default() }
}

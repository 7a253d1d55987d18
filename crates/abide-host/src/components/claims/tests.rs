use proptest::prelude::*;
use proptest::sample::Index;
use sha2::{Digest as _, Sha256};

use super::*;

const SIGNED: &[u8] = include_bytes!("../golden/signed.wasm");
const BARE: &[u8] = include_bytes!("../golden/bare.wasm");
const DATED: &[u8] = include_bytes!("../golden/dated.wasm");
const TWICE: &[u8] = include_bytes!("../golden/twice.wasm");
const OLD_SECTION: &[u8] = include_bytes!("../golden/old-section.wasm");
const COMPOSED: &[u8] = include_bytes!("../golden/composed.wasm");
const GOLDEN: [&[u8]; 6] = [SIGNED, BARE, DATED, TWICE, OLD_SECTION, COMPOSED];

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Within the dates of `dated.wasm`.
const NOW: i64 = 1_850_000_000;

fn read_at(wasm: &[u8], second: i64) -> Result<Option<Claims>, ClaimsError> {
    read(wasm, Timestamp::from_second(second).unwrap())
}

fn read_now(wasm: &[u8]) -> Result<Option<Claims>, ClaimsError> {
    read_at(wasm, NOW)
}

fn claims(wasm: &[u8]) -> Claims {
    read_now(wasm).unwrap().unwrap()
}

fn error(wasm: &[u8]) -> String {
    read_now(wasm).unwrap_err().to_string()
}

fn account(seed: u8) -> KeyPair {
    KeyPair::new_from_raw(KeyPairType::Account, [seed; 32]).unwrap()
}

fn module(seed: u8) -> KeyPair {
    KeyPair::new_from_raw(KeyPairType::Module, [seed; 32]).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A length in LEB128, with as many bytes as it takes or one to four more.
fn leb(length: usize, more: usize) -> Vec<u8> {
    let shortest = (1..=5).find(|bytes| length >> (7 * bytes) == 0).unwrap();
    let bytes = (shortest + more).min(5);
    let byte = |place: usize| (length >> (7 * place)).to_le_bytes()[0] & 0x7F;
    (0..bytes).map(|place| byte(place) | if place + 1 < bytes { 0x80 } else { 0 }).collect()
}

fn section(id: u8, content: &[u8], more: usize) -> Vec<u8> {
    [&[id], &leb(content.len(), more)[..], content].concat()
}

fn custom(name: &str, content: &[u8]) -> Vec<u8> {
    section(0, &[&leb(name.len(), 0), name.as_bytes(), content].concat(), 0)
}

/// A token by an issuer, with whatever header and body.
fn token(header: &Json, body: &Json, issuer: &KeyPair) -> String {
    let part = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(header), part(body));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

fn header() -> Json {
    json!({ "typ": "jwt", "alg": "Ed25519" })
}

/// What is said of a component without sections, by the first account.
fn body() -> Json {
    json!({
        "iss": account(1).public_key(),
        "sub": module(2).public_key(),
        "wascap": { "hash": sha256(COMPONENT) },
    })
}

/// A component without sections but that with the token.
fn with_token(token: &str) -> Vec<u8> {
    [COMPONENT, &custom("wasmcloud_jwt", token.as_bytes())].concat()
}

/// The same, by the first account, with a body in which one thing is changed.
fn with_body(change: impl FnOnce(&mut Json)) -> Vec<u8> {
    let mut body = body();
    change(&mut body);
    with_token(&token(&header(), &body, &account(1)))
}

#[test]
fn what_wascap_signed_is_read_as_it_was_said() {
    let signed = claims(SIGNED);
    let expected = Claims {
        subject: module(2).public_key(),
        issuer: account(1).public_key(),
        name: Some("golden".to_owned()),
        call_alias: Some("gold".to_owned()),
        tags: vec!["a".to_owned(), "b".to_owned()],
        version: Some("1.2.3".to_owned()),
        revision: 7,
        issued: Some(1_700_000_000),
        expires: None,
        not_before: None,
        token: signed.token.clone(),
    };
    assert_eq!(signed, expected);
    assert_eq!(claims(OLD_SECTION), expected);

    let bare = claims(BARE);
    assert_eq!((bare.name.as_deref(), bare.call_alias, bare.version), (Some("bare"), None, None));
    assert_eq!((bare.tags, bare.revision), (vec![], 0));

    let dated = claims(DATED);
    assert_eq!((dated.not_before, dated.expires), (Some(1_800_000_000), Some(1_900_000_000)));

    let twice = claims(TWICE);
    assert_eq!((twice.issuer, twice.subject), (account(3).public_key(), module(4).public_key()));
    assert_eq!(twice.name.as_deref(), Some("again"));

    let composed = claims(COMPOSED);
    assert_eq!((composed.issuer, composed.subject), (account(1).public_key(), module(5).public_key()));
}

#[test]
fn images_without_claims_of_their_own_have_none() {
    let around_signed = [COMPONENT, &section(4, SIGNED, 0)].concat();
    let named_otherwise = [COMPONENT, &custom("wasmcloud_jwt2", b"x")].concat();
    for wasm in [COMPONENT, MODULE, &around_signed, &named_otherwise] {
        assert_eq!(read_now(wasm).unwrap(), None);
    }
    // A part's claims are not taken for the whole's, under the old name either.
    let part = [MODULE, &custom("jwt", b"x")].concat();
    assert_eq!(read_now(&[COMPONENT, &section(1, &part, 0)].concat()).unwrap(), None);
}

/// Every byte of a signed image is vouched for, by the hash or the signature: with one that differs, the image has no
/// claims or wrong ones. Excepted is what stands in token sections of its parts, which `wascap` leaves out of the hash
/// and nobody reads.
#[test]
fn no_image_that_differs_in_a_byte_is_admitted() {
    let listed = Issuers::new([1, 3].map(|seed| account(seed).public_key())).unwrap();
    for wasm in GOLDEN {
        let claims = claims(wasm);
        let excepted: Vec<_> = [&claims_of_part(SIGNED)[..], b"inner"]
            .iter()
            .filter(|_| wasm == COMPOSED)
            .filter_map(|token| Some((find(wasm, token)?, token.len())))
            .flat_map(|(start, length)| start..start + length)
            .collect();
        assert_eq!(excepted.is_empty(), wasm != COMPOSED);
        let mut changed = wasm.to_vec();
        for place in 0..wasm.len() {
            let before = changed[place];
            for flipped in (0..8).map(|bit| 1 << bit).chain([0xFF]) {
                changed[place] = before ^ flipped;
                let read = read_now(&changed);
                if excepted.contains(&place) {
                    assert_eq!(read.unwrap().as_ref(), Some(&claims));
                } else {
                    let admitted = read.and_then(|claims| listed.admit(claims.as_ref()));
                    assert!(admitted.is_err(), "byte {place} xor {flipped:#04x} of {claims:?}");
                }
            }
            changed[place] = before;
        }
    }
}

fn claims_of_part(wasm: &[u8]) -> Vec<u8> {
    claims(wasm).token.into_bytes()
}

fn find(wasm: &[u8], token: &[u8]) -> Option<usize> {
    wasm.windows(token.len()).position(|window| window == token)
}

#[test]
fn an_image_that_is_cut_off_is_not_admitted() {
    for wasm in GOLDEN {
        for length in 0..wasm.len() {
            assert!(!matches!(read_now(&wasm[..length]), Ok(Some(_))), "{length} bytes");
        }
    }
    // The parser stops at the end of the bytes also where a part says that it is longer; the engine does not.
    let token = custom("wasmcloud_jwt", claims(BARE).token.as_bytes());
    let long = [COMPONENT, &token, &[1, 9], MODULE].concat();
    assert!(matches!(read_now(&long), Err(ClaimsError::Truncated)));
}

#[test]
fn claims_hold_from_the_second_of_the_one_date_until_before_the_other() {
    for (second, holds) in [
        (-1, false),
        (1_799_999_999, false),
        (1_800_000_000, true),
        (1_899_999_999, true),
        (1_900_000_000, false),
        (1_900_000_001, false),
    ] {
        assert_eq!(read_at(DATED, second).is_ok(), holds, "{second}");
    }
    let almost = Timestamp::new(1_899_999_999, 999_999_999).unwrap();
    assert!(read(DATED, almost).is_ok());
    let far = with_body(|body| body["exp"] = json!(u64::MAX));
    assert!(read(&far, Timestamp::MAX).is_ok());

    let early = read_at(DATED, 0).unwrap_err().to_string();
    insta::assert_snapshot!(early, @"the claims by `ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU` on `MCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJPUL` hold from 2027-01-15T08:00:00Z on; wait until then, or set this host's clock right");
    let late = read_at(DATED, 1_900_000_000).unwrap_err().to_string();
    insta::assert_snapshot!(late, @"the claims by `ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU` on `MCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJPUL` expired at 2030-03-17T17:46:40Z; have the component signed again");
}

#[test]
fn what_does_not_hold_is_told() {
    assert!(read_now(&with_body(|_| {})).unwrap().is_some(), "what the tests below change does hold");

    insta::assert_snapshot!(error(b"(component)"), @"the image is no WebAssembly in its binary form");
    insta::assert_snapshot!(error(&with_token("x")), @"the claims are no token as `wash claims sign` makes it: it has not three parts with `.` between them; sign the component again, or remove the section");
    insta::assert_snapshot!(error(&with_token("x.y.z.z")), @"the claims are no token as `wash claims sign` makes it: it has not three parts with `.` between them; sign the component again, or remove the section");
    insta::assert_snapshot!(error(&with_token("ä.y.z")), @"the claims are no token as `wash claims sign` makes it: its header is not in base64url; sign the component again, or remove the section");
    insta::assert_snapshot!(error(&with_token("e30.e30.e30")), @"the claims are no token as `wash claims sign` makes it: its header is not as it should be: missing field `typ` at line 1 column 2; sign the component again, or remove the section");

    let by = |header, seed| error(&with_token(&token(&header, &body(), &account(seed))));
    let algorithm = |alg: &str| json!({ "typ": "jwt", "alg": alg });
    insta::assert_snapshot!(by(algorithm("none"), 1), @"the claims are signed with `none` and not with `Ed25519`; sign the component with `wash claims sign`");
    insta::assert_snapshot!(by(algorithm("\u{1b}[2J"), 1), @r"the claims are signed with `\u{1b}[2J` and not with `Ed25519`; sign the component with `wash claims sign`");
    insta::assert_snapshot!(by(json!({ "typ": "JWT", "alg": "Ed25519" }), 1), @"the claims are no token as `wash claims sign` makes it: its type is `JWT` and not `jwt`; sign the component again, or remove the section");
    insta::assert_snapshot!(by(header(), 3), @"the claims on `MCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJPUL` are not signed by their issuer `ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU`; get the component from them anew, or sign it yourself");

    insta::assert_snapshot!(error(&with_body(|body| body["iss"] = json!(module(1).public_key()))), @"the claims on `MCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJPUL` name the issuer `MCFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVZ4AO`, which is no account's key (`A…`); sign the component with the seed of an account (`SA…`)");
    insta::assert_snapshot!(error(&with_body(|body| body["iss"] = json!("A".repeat(500)))), @"the claims on `MCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJPUL` name the issuer `AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA…`, which is no account's key (`A…`); sign the component with the seed of an account (`SA…`)");
    insta::assert_snapshot!(error(&with_body(|body| body["sub"] = json!(account(2).public_key()))), @"the claims by `ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU` are about `ACATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZIL2R`, which is no component's key (`M…`); sign the component with the seed of a module (`SM…`)");
    insta::assert_snapshot!(error(&with_body(|body| body["exp"] = json!(-1))), @"the claims are no token as `wash claims sign` makes it: its body is not as it should be: invalid value: integer `-1`, expected u64 at line 1 column 9; sign the component again, or remove the section");
    insta::assert_snapshot!(error(&with_body(|body| body["wascap"] = Json::Null)), @"the claims are no token as `wash claims sign` makes it: it has no hash of a component; sign the component again, or remove the section");
    insta::assert_snapshot!(error(&with_body(|body| body["wascap"]["hash"] = json!("00"))), @"the component `MCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJPUL` is not what `ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU` signed: its hash is 24EAF3439A60C96764C4F2C92A0A81B52BD4FE5D5B91F090184A0F6486B1BF29, and 00 was signed; get it from them anew, or sign it yourself");

    let extended = [SIGNED, &custom("more", b"")].concat();
    insta::assert_snapshot!(error(&extended), @"the component `MCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJPUL` is not what `ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU` signed: its hash is 0DC9A04F4D8158C63C4C9B985AB34A4958BF71FA1D9E5627BB0A2E288AF25252, and 809EEB463BDF6F8326429F45F891FA55AA0AFAA54A6552ABC0D98BE1E354E9D6 was signed; get it from them anew, or sign it yourself");
    let two = [SIGNED, &custom("jwt", claims(SIGNED).token.as_bytes())].concat();
    insta::assert_snapshot!(error(&two), @"the image has 2 sections with claims, and may have one; sign it again, which leaves one");
}

#[test]
fn an_old_token_does_not_do_without_its_hash() {
    let old = with_body(|body| {
        body["wascap_revision"] = json!(2);
        body["wascap"]["hash"] = json!("");
    });
    assert!(matches!(read_now(&old), Err(ClaimsError::Changed { .. })));
}

#[test]
fn a_hash_in_lower_case_is_another() {
    let lower = |body: &mut Json| {
        let hash = body["wascap"]["hash"].as_str().unwrap().to_lowercase();
        body["wascap"]["hash"] = json!(hash);
    };
    assert!(matches!(read_now(&with_body(lower)), Err(ClaimsError::Changed { .. })));
}

#[test]
fn the_longest_token_is_read_and_none_longer() {
    let of_length = |tag: usize| with_body(|body| body["wascap"]["tags"] = json!(["t".repeat(tag)]));
    let fixed = claims(&of_length(0)).token.len();
    // Three bytes of JSON take four of base64url.
    let most = (0..4).map(|less| (TOKEN_MAX - fixed) / 4 * 3 + 3 - less).map(of_length);
    let longest = most.filter_map(|wasm| read_now(&wasm).ok().flatten()).next().unwrap();
    assert!(longest.token.len() > TOKEN_MAX - 4);
    assert!(matches!(read_now(&of_length(TOKEN_MAX)), Err(ClaimsError::TooLong { .. })));
    let exactly = |length| with_token(&"x".repeat(length));
    assert!(matches!(read_now(&exactly(TOKEN_MAX)), Err(ClaimsError::NotToken { .. })));
    assert!(matches!(read_now(&exactly(TOKEN_MAX + 1)), Err(ClaimsError::TooLong { .. })));
}

#[test]
fn many_parts_are_looked_through_and_more_are_refused() {
    let deep = |parts: usize| {
        (0..parts).fold(COMPONENT.to_vec(), |part, _| [COMPONENT, &section(4, &part, 0)].concat())
    };
    let wide = |parts: usize| [COMPONENT, &section(1, MODULE, 0).repeat(parts)].concat();
    for wasm in [deep(1_000), wide(sections::PARTS_MAX)] {
        assert_eq!(Sections::read(&wasm).unwrap().hash().unwrap(), sha256(&wasm));
    }
    assert!(matches!(read_now(&wide(sections::PARTS_MAX + 1)), Err(ClaimsError::Parts)));
}

#[test]
fn issuers_are_admitted_by_their_keys() {
    let keys = |seeds: &[u8]| seeds.iter().map(|seed| account(*seed).public_key()).collect::<Vec<_>>();
    let host = |seeds| Issuers::new(keys(seeds)).unwrap();
    let (by_1, by_3) = (claims(SIGNED), claims(TWICE));
    for (issuers, admitted) in [
        (Issuers::default(), [true, true, true]),
        (host(&[1]), [false, true, false]),
        (host(&[3]), [false, false, true]),
        (host(&[3, 1]), [false, true, true]),
        (host(&[9]), [false, false, false]),
    ] {
        let found = [None, Some(&by_1), Some(&by_3)].map(|claims| issuers.admit(claims).is_ok());
        assert_eq!(found, admitted, "{issuers:?}");
    }
    let refused = |claims| host(&[3]).admit(claims).unwrap_err().to_string();
    insta::assert_snapshot!(refused(None), @"the component is not signed, and this host only runs those that are, by one of: `ADWUSKGGFDI4FRXK5EBTRECZSVQSSWJHHJOGH6JWG3AUMFFMQ435D6HD`");
    insta::assert_snapshot!(refused(Some(&by_1)), @"the component `MCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJPUL` is signed by `ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU`, and this host does not run what they sign; to allow it, add `ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU` to the issuers that this host allows");
    for key in ["", " ", "*", &module(1).public_key(), &account(1).public_key().to_lowercase()] {
        assert!(matches!(Issuers::new([key.to_owned()]), Err(ClaimsError::NotIssuer { .. })), "{key}");
    }
    insta::assert_snapshot!(Issuers::new(["all".to_owned()]).unwrap_err(), @"`all` cannot be allowed as an issuer: it is no account's public key (`A…`)");
}

#[test]
fn claims_are_told_in_the_shapes_of_a_lattice() {
    let shapes =
        |claims: &Claims| serde_json::to_string_pretty(&[claims.to_event(), json!(claims.to_bucket())]);
    insta::assert_snapshot!(shapes(&claims(DATED)).unwrap(), @r#"
    [
      {
        "call_alias": "gold",
        "expires_human": "2030-03-17T17:46:40Z",
        "issuer": "ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU",
        "name": "golden",
        "not_before_human": "2027-01-15T08:00:00Z",
        "revision": 7,
        "tags": [
          "a",
          "b"
        ],
        "version": "1.2.3"
      },
      {
        "call_alias": "gold",
        "issuer": "ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU",
        "name": "golden",
        "revision": "7",
        "subject": "MCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJPUL",
        "tags": "a,b",
        "version": "1.2.3"
      }
    ]
    "#);
    insta::assert_snapshot!(shapes(&claims(BARE)).unwrap(), @r#"
    [
      {
        "call_alias": null,
        "expires_human": "never",
        "issuer": "ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU",
        "name": "bare",
        "not_before_human": "immediately",
        "revision": 0,
        "tags": [],
        "version": null
      },
      {
        "call_alias": "",
        "issuer": "ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU",
        "name": "bare",
        "revision": "0",
        "subject": "MCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJPUL",
        "tags": "",
        "version": ""
      }
    ]
    "#);
    let odd = with_body(|body| {
        body["exp"] = json!(u64::MAX);
        body["wascap"]["rev"] = json!(-1);
    });
    let odd = claims(&odd).to_event();
    assert_eq!((&odd["name"], &odd["revision"]), (&json!(""), &Json::Null));
    assert_eq!(odd["expires_human"], "18446744073709551615 s after 1970");
}

/// Sections of an image as they are, and as they are hashed.
fn sections() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let content = || prop::collection::vec(any::<u8>(), 0..200);
    let name = prop_oneof![Just("wasmcloud_jwt"), Just("jwt"), Just("name"), Just("")];
    let custom = (name, content(), 0..5_usize).prop_map(|(name, content, more)| {
        let content = [&leb(name.len(), more), name.as_bytes(), &content].concat();
        let hashed = if NAMES.contains(&name) { vec![] } else { section(0, &content, 0) };
        (section(0, &content, more), hashed)
    });
    let unknown = (50..128_u8, content(), 0..5_usize)
        .prop_map(|(id, c, more)| (section(id, &c, more), section(id, &c, 0)));
    let leaf = prop_oneof![custom, unknown];
    leaf.prop_recursive(6, 40, 6, |inner| {
        let begin = prop_oneof![Just((1, MODULE)), Just((4, COMPONENT))];
        (begin, prop::collection::vec(inner, 0..6), 0..5_usize).prop_map(|((id, header), inner, more)| {
            // A module has no parts of its own, only sections with content that means nothing to it.
            let parts = |inner: Vec<Vec<u8>>| [header, &inner.concat()].concat();
            let (is, hashed): (Vec<_>, Vec<_>) =
                inner.into_iter().filter(|(is, _)| id == 4 || is[0] == 0 || is[0] >= 50).unzip();
            (section(id, &parts(is), more), section(id, &parts(hashed), 0))
        })
    })
}

const NAMES: [&str; 2] = ["wasmcloud_jwt", "jwt"];

proptest! {
    #[test]
    fn the_hash_is_of_the_image_without_tokens_and_with_short_lengths(
        sections in prop::collection::vec(sections(), 0..8),
    ) {
        let (is, hashed): (Vec<_>, Vec<_>) = sections.into_iter().unzip();
        let is = [COMPONENT, &is.concat()].concat();
        let hashed = [COMPONENT, &hashed.concat()].concat();
        let found = Sections::read(&is).unwrap().hash().unwrap();
        prop_assert_eq!(found, sha256(&hashed));
    }

    #[test]
    fn bytes_of_nobody_have_no_claims(
        begin in prop_oneof![Just(&b""[..]), Just(COMPONENT), Just(MODULE)],
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        prop_assert!(!matches!(read_now(&[begin, &bytes].concat()), Ok(Some(_))));
    }

    #[test]
    fn tokens_of_nobody_do_not_hold(
        token in prop_oneof![
            "[A-Za-z0-9_-]{0,90}(\\.[A-Za-z0-9_-]{0,90}){0,3}",
            (any::<String>(), any::<String>()).prop_map(|(header, body)| {
                format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(body))
            }),
        ],
    ) {
        prop_assert!(read_now(&with_token(&token)).is_err());
    }

    #[test]
    fn whatever_is_put_in_takes_the_claims_away(
        of in prop::sample::select(&GOLDEN[..5]),
        from in any::<Index>(),
        to in any::<Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let (from, to) = (from.index(of.len() + 1), to.index(of.len() + 1));
        let mut changed = of.to_vec();
        changed.splice(from.min(to)..from.max(to), bytes);
        prop_assume!(changed != of);
        // What remains of a file may be an image without claims; it is never one with claims.
        prop_assert!(!matches!(read_now(&changed), Ok(Some(_))));
    }
}

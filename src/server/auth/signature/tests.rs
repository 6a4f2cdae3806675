//! The published vectors of both schemes, and what they must not let pass.

use axum::http::Request;

use super::*;

const SECRET: &str = "SKEXAMPLE0123456789";
const PROJECT: &str = "b3bdf0e2f8f64a9f8f5c2c0f9a3d1e77";
/// 2026-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);
const PLAIN: &str = "content-type;host;user-agent;x-project-id;x-sdk-date";

/// One vector: method, address, body, the header of the signature, the hash of the canonical request.
struct Vector {
    method: &'static str,
    address: String,
    body: &'static str,
    authorization: String,
    hash: &'static str,
}

fn plain(method: &'static str, tail: &str, body: &'static str, hash: &'static str, signature: &str) -> Vector {
    let authorization = format!("{ALGORITHM} Access=AKIDEXAMPLE, SignedHeaders={PLAIN}, Signature={signature}");
    Vector { method, address: format!("/V1.0/{PROJECT}/metric-data{tail}"), body, authorization, hash }
}

fn vectors() -> [Vector; 3] {
    let credential = "AKIDEXAMPLE/20260101/eu-de/vbsv2/sdk_request";
    let signature = "370544657632d553c43f83eaa9fb32ffbb4ded015f58cbf5d01dc26eaabb9811";
    [
        plain(
            "GET",
            "?dim.0=instance_id%2Ci-1&filter=average&from=1767225000000&metric_name=cpu_util&namespace=MINE.APP\
             &period=300&to=1767225600000",
            "",
            "8fa349b324bf1659287fc1208df8c3cd0aac087bf16ccbcb5528428528e4fb66",
            "f762a404b1b9a46a0f92b23500716a4aa81e0019852e3b15044f1752b924e650",
        ),
        plain(
            "POST",
            "",
            r#"[{"metric":{"namespace":"MINE.APP","metric_name":"cpu_util","dimensions":[{"name":"instance_id","value":"i-1"}]},"ttl":172800,"collect_time":1767225600000,"value":60,"unit":"%","type":"int"}]"#,
            "4294085e3f6b1984349f7552ca615a569d6fe164d22fadfb15fd308e6b8c103d",
            "68c6b678634943aa06ba6af3d45350aaa341df986d08ec6901aab5c8890c4cd3",
        ),
        Vector {
            method: "POST",
            address: format!("/v2/{PROJECT}/backuppolicyresources"),
            body: r#"{"backup_policy_id":"915d1fd8-63cb-4054-a2b0-2778210e3a75","resources":[{"resource_id":"0f187b65-8d0e-4fc0-9096-3b55d330531e","resource_type":"volume"}]}"#,
            authorization: format!(
                "{ALGORITHM} Credential={credential}, SignedHeaders=host;x-sdk-date, Signature={signature}"
            ),
            hash: "1feb8a2cfeba3d25a3a56e902116dbb23ea048686486c5d623c42db8a63a91b4",
        },
    ]
}

/// The head of a vector's request, with some headers changed.
fn head(vector: &Vector, changes: &[(&str, &str)]) -> request::Parts {
    let mut request = Request::builder().method(vector.method).uri(vector.address.as_str());
    let usual = [
        ("content-type", "application/json"),
        ("host", "127.0.0.1:8080"),
        ("user-agent", "ts-test/1.0"),
        ("x-project-id", PROJECT),
        ("x-sdk-date", "20260101T000000Z"),
    ];
    let changed = |name: &str| changes.iter().find(|(each, _)| *each == name).map(|(_, value)| *value);
    for (name, value) in usual {
        request = request.header(name, changed(name).unwrap_or(value));
    }
    for (name, value) in changes.iter().filter(|(name, _)| usual.iter().all(|(each, _)| each != name)) {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

fn verify(vector: &Vector, head: &request::Parts, secret: &str, body: &[u8], now: Timestamp) -> Result<(), String> {
    Claim::read(&vector.authorization, head)?.verify(secret, body, now)
}

#[test]
fn the_published_vectors_of_both_schemes_pass() {
    // auth-and-clients 3.2, test vectors 1 to 3.
    for vector in vectors() {
        let head = head(&vector, &[]);
        let claim = Claim::read(&vector.authorization, &head).expect("well-formed");
        assert_eq!(claim.access_key(), "AKIDEXAMPLE");
        let payload = hash_of(vector.body.as_bytes());
        let signed = Signed {
            method: &head.method,
            uri: &head.uri,
            headers: &head.headers,
            names: &claim.names,
            payload: &payload,
        };
        assert_eq!(hash(&signed, Habit::None).as_deref(), Some(vector.hash), "{}", vector.address);
        assert_eq!(claim.verify(SECRET, vector.body.as_bytes(), NOW), Ok(()), "{}", vector.address);
    }
}

#[test]
fn whatever_is_tampered_with_fails() {
    // Goal: each part of a request that is signed is covered. Method: the vectors, with one thing changed at a time.
    for vector in vectors() {
        let good = head(&vector, &[]);
        let body = vector.body.as_bytes();
        assert!(verify(&vector, &good, "SK", body, NOW).is_err(), "another secret");
        assert!(verify(&vector, &good, SECRET, &[body, b" "].concat(), NOW).is_err(), "another body");
        for change in [("host", "127.0.0.1:8081"), ("x-sdk-date", "20260101T000001Z")] {
            assert!(verify(&vector, &head(&vector, &[change]), SECRET, body, NOW).is_err(), "{change:?}");
        }
        let swapped = Vector { address: vector.address.replace("b3bd", "b3be"), ..clone(&vector) };
        assert!(verify(&swapped, &head(&swapped, &[]), SECRET, body, NOW).is_err(), "another project");
        let asked =
            Vector { address: format!("{}{}x=1", vector.address, separator(&vector.address)), ..clone(&vector) };
        assert!(verify(&asked, &head(&asked, &[]), SECRET, body, NOW).is_err(), "another question");
        let method = Vector { method: "PUT", ..clone(&vector) };
        assert!(verify(&method, &head(&method, &[]), SECRET, body, NOW).is_err(), "another method");
        let last = vector.authorization.len() - 1;
        let digit = if vector.authorization.ends_with('0') { "1" } else { "0" };
        let forged = Vector { authorization: format!("{}{digit}", &vector.authorization[..last]), ..clone(&vector) };
        assert!(verify(&forged, &good, SECRET, body, NOW).is_err(), "another signature");
        let scoped = Vector { authorization: vector.authorization.replace("eu-de", "eu-nl"), ..clone(&vector) };
        assert_eq!(verify(&scoped, &good, SECRET, body, NOW).is_err(), vector.authorization.contains("eu-de"));
    }
    let [query, ..] = vectors();
    assert!(verify(&query, &head(&query, &[("user-agent", "x")]), SECRET, b"", NOW).is_err(), "a signed header");
}

fn clone(vector: &Vector) -> Vector {
    let Vector { method, address, body, authorization, hash } = vector;
    Vector { method, address: address.clone(), body, authorization: authorization.clone(), hash }
}

fn separator(address: &str) -> char {
    if address.contains('?') { '&' } else { '?' }
}

#[test]
fn a_signature_holds_for_fifteen_minutes_either_way() {
    let [vector, ..] = vectors();
    let head = head(&vector, &[]);
    for (now, is_good) in [
        (NOW + SKEW_MAX, true),
        (NOW - SKEW_MAX, true),
        (NOW + SKEW_MAX + Duration::from_millis(1), false),
        (NOW - SKEW_MAX - Duration::from_millis(1), false),
    ] {
        assert_eq!(verify(&vector, &head, SECRET, b"", now).is_ok(), is_good, "{now}");
    }
}

#[test]
fn a_hash_beside_the_body_must_be_true() {
    let [_, vector, _] = vectors();
    let body = vector.body.as_bytes();
    let said = hash_of(body);
    let header = |value: &'static str| head(&vector, &[("x-sdk-content-sha256", value)]);
    assert_eq!(verify(&vector, &head(&vector, &[("x-sdk-content-sha256", &said)]), SECRET, body, NOW), Ok(()));
    for (head, why) in [(header(UNSIGNED), "has to be signed"), (header("00"), "not the hash")] {
        assert!(verify(&vector, &head, SECRET, body, NOW).expect_err(why).contains(why));
    }
}

#[test]
fn what_is_no_signature_says_why() {
    let [vector, _, scoped] = vectors();
    let good = head(&vector, &[]);
    for (from, to, why) in [
        (ALGORITHM, "SDK-HMAC-SM3", "algorithm"),
        ("Access=", "Axcess=", "access key"),
        ("SignedHeaders=", "Signed=", "SignedHeaders is missing"),
        ("host;", "", "host is not signed"),
        (";x-sdk-date", "", "x-sdk-date is not signed"),
        ("Signature=f7", "Signature=zz", "64 digits"),
        ("user-agent", "user-agent;x-other", "does not match"),
    ] {
        let changed = Vector { authorization: vector.authorization.replace(from, to), ..clone(&vector) };
        let error = verify(&changed, &good, SECRET, b"", NOW).expect_err(why);
        assert!(error.contains(why), "{error}");
    }
    for (from, to, why) in [("sdk_request", "other", "the scope must be"), ("20260101", "20260102", "another day")] {
        let changed = Vector { authorization: scoped.authorization.replace(from, to), ..clone(&scoped) };
        let error = verify(&changed, &head(&changed, &[]), SECRET, scoped.body.as_bytes(), NOW).expect_err(why);
        assert!(error.contains(why), "{error}");
    }
}

/// Signs as the client would whose habit it is.
fn signed_by_habit(method: &'static str, address: &str, habit: Habit, body: &[u8]) -> Result<(), String> {
    let names = ["host", "user-agent", "x-sdk-date"];
    let authorization = |signature: &str| {
        let fields = format!("SignedHeaders={}, Signature={signature}", names.join(";"));
        format!("{ALGORITHM} Credential=AK/20260101///sdk_request, {fields}")
    };
    let unsigned = Vector { method, address: address.into(), body: "", authorization: String::new(), hash: "" };
    let head = head(&unsigned, &[("user-agent", "a  b\t c")]);
    let payload = hash_of(b"");
    let signed =
        Signed { method: &head.method, uri: &head.uri, headers: &head.headers, names: &names, payload: &payload };
    let hash = hash(&signed, habit).expect("all headers are there");
    let dummy = authorization(&"0".repeat(64));
    let key = Claim::read(&dummy, &head)?.key(SECRET)?;
    let text = format!("{ALGORITHM}\n20260101T000000Z\n20260101///sdk_request\n{hash}");
    let signature = crate::server::ids::hex(&mac(&key, &text).finalize().into_bytes());
    let vector = Vector { authorization: authorization(&signature), ..unsigned };
    verify(&vector, &head, SECRET, body, NOW)
}

#[test]
fn the_habits_of_one_client_are_known() {
    // auth-and-clients 3.2: white space is one blank; a POST without a body signs its query in place of it. Region and
    // service may be empty.
    for habit in Habit::ALL {
        assert_eq!(signed_by_habit("POST", "/v2/p/x?b=1&a=2", habit, b""), Ok(()), "{habit:?}");
    }
    assert!(signed_by_habit("GET", "/v2/p/x?b=1", Habit::QueryAsBody, b"").is_err());
    assert!(signed_by_habit("POST", "/v2/p/x?b=1", Habit::QueryAsBody, b"[]").is_err());
}

//! The vectors of contract 2.7, L to P, and the published sample.

use super::*;
use crate::body;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

const KEY: &[u8] = b"example-secret-key-0001";
const TIME: u64 = 1_700_000_000;
const RESET: &str = r#"{"InstanceIds": ["cpm-34xs43xs", "cpm-3xwssdfx"], "Password": "abce1234"}"#;
const JSON: &str = "application/json";
const UTF8: &str = "application/json; charset=utf-8";

/// One row of contract 2.7.
struct Vector {
    row: &'static str,
    method: &'static str,
    host: &'static str,
    content_type: &'static str,
    /// The query of a GET, the body of a POST.
    sent: &'static str,
    signed: &'static str,
    service: &'static str,
    /// Hash of the canonical request.
    canonical: &'static str,
    signature: &'static str,
}

const L: Vector = Vector {
    row: "L",
    method: "POST",
    host: "bm.tencentcloudapi.com",
    content_type: JSON,
    sent: RESET,
    signed: "content-type;host",
    service: "bm",
    canonical: "0fa7cd928baf10816a22eac5c9025066037a71d4681dbba64169e921a26e1bb3",
    signature: "a449008224d6aa1dbef66d28b5b4aac9b91197ba46b61e8fb415541e7178ba99",
};

const VECTORS: [Vector; 5] = [
    L,
    Vector {
        row: "M",
        content_type: UTF8,
        signed: "content-type;host;x-tc-action",
        canonical: "2823592cfed50ba814004ee9e600dca8ee51b9e73afa3c6860effdc1df610c72",
        signature: "8e2590cb5888f749f951276b500dd24a8d8dbfad600c5469b6a47aa9c678ede0",
        ..L
    },
    Vector {
        row: "N",
        method: "GET",
        content_type: "application/x-www-form-urlencoded",
        sent: "InstanceIds.0=cpm-34xs43xs&InstanceIds.1=cpm-3xwssdfx&Password=Ab1%21%40%23%24%25%5E%26%2A%28%29",
        canonical: "5d3a86279cfe06197c4b51fd60235fc76fc8cff786194780b2637b4ae63ed75f",
        signature: "b0e893946798401e9c55c6c23b3188c272967390a06d4b04116b76018d686d4e",
        ..L
    },
    Vector {
        row: "O",
        host: "127.0.0.1:8443",
        sent: "{\"any\": \"body\"}",
        canonical: "53538b880ea287200ca3ff6b2aa11e1987bde39bb069b5f835ca8e0b1f92b7b1",
        signature: "49b91dc4b9a62ab50f7c979b578e044142642cb6a69ee1341801649f0752fb3b",
        ..L
    },
    Vector {
        row: "P",
        host: "127.0.0.1:8443",
        sent: r#"{"TaskId":101}"#,
        service: "127",
        canonical: "76cd07553a9a4d16db781d8232a87176980c66d583a6d06d64cb5850df34ae0f",
        signature: "88d24c0a8e61d8e193e11853e3467dd09f747345d1c71cc6d04f75a1908b566a",
        ..L
    },
];

impl Vector {
    fn request(&self) -> Received {
        let time = TIME.to_string();
        let mut fields = vec![
            ("content-type", self.content_type),
            (ACTION, "ResetDevicePassword"),
            (TIMESTAMP, &time),
        ];
        if self.row == "O" {
            fields.push((CONTENT_SHA256, UNSIGNED));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let (host, encoded) = (self.host.as_bytes().to_vec(), body::Bytes::from(self.sent));
        Received { method: self.method, host, headers, encoded }
    }

    fn authorization(&self) -> Authorization {
        let Self { service, signed, signature, .. } = self;
        let text = format!(
            "TC3-HMAC-SHA256 Credential=AKIDEXAMPLE0001/2023-11-14/{service}/tc3_request, \
             SignedHeaders={signed}, Signature={signature}"
        );
        Authorization::parse(&text).unwrap()
    }

    fn verifies(&self, change: impl FnOnce(&mut Received, &mut Authorization)) -> bool {
        let (mut request, mut authorization) = (self.request(), self.authorization());
        change(&mut request, &mut authorization);
        verifies(&authorization, &request, TIME, KEY, &Settings::default())
    }
}

#[test]
fn the_contracts_canonical_requests_are_made() {
    for vector in VECTORS {
        let (request, authorization) = (vector.request(), vector.authorization());
        let payload = payload_hash(&request, &Settings::default()).unwrap();
        let host = if vector.row == "P" { &b"127.0.0.1"[..] } else { &request.host };
        let made = canonical_request(&authorization, &request, host, true, &payload).unwrap();
        assert_eq!(to_hex(&made), vector.canonical, "row {}", vector.row);
    }
}

#[test]
fn the_contracts_payloads_hash_as_published() {
    let hash =
        |vector: &Vector| to_hex(&payload_hash(&vector.request(), &Settings::default()).unwrap());
    assert_eq!(hash(&L), "636dcb9c10fe8740e9bb383194078c81b5c54a6d50060b6a6c0831d8f940a650");
    let unsigned = "438d4109ef0d676b8c2c7ed13cdfcb418e494d53b843d4634ce3b1085f07bb96";
    assert_eq!(hash(&VECTORS[3]), unsigned);
}

#[test]
fn the_contracts_derived_keys_are_made() {
    let authorization = L.authorization();
    let signing = signing_key(KEY, &authorization).unwrap();
    let expected = "a88bbd464fc1049112b300cbeb5467672dff977e3d25d88e3a213ee7bde6416d";
    assert_eq!(to_hex(&*signing), expected);
}

/// Its key is masked; the hash of its payload and of its canonical request are not.
#[test]
fn the_published_samples_canonical_request_is_made() {
    let sample = Vector {
        row: "published",
        host: "cvm.tencentcloudapi.com",
        content_type: UTF8,
        signed: "content-type;host;x-tc-action",
        ..L
    };
    let mut request = sample.request();
    request.headers.insert(ACTION, HeaderValue::from_static("DescribeInstances"));
    let payload = "35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064";
    let payload = hex_to_bytes(payload).unwrap().try_into().unwrap();
    let authorization = sample.authorization();
    let made = canonical_request(&authorization, &request, &request.host, true, &payload).unwrap();
    let expected = "7019a55be8395899b900fb5564e4200d984910f34794a27cb3fb7d10ff6a1e84";
    assert_eq!(to_hex(&made), expected);
}

#[test]
fn the_contracts_signatures_verify_and_no_other_does() {
    for vector in VECTORS {
        let row = vector.row;
        assert!(vector.verifies(|_, _| {}), "row {row}");
        assert!(!vector.verifies(|_, a| a.signature[3] ^= 1), "row {row}: signature");
        assert!(!vector.verifies(|_, a| a.date = "2023-11-15".to_owned()), "row {row}: date");
        assert!(!vector.verifies(|_, a| a.service = "cvm".to_owned()), "row {row}: service");
        assert!(!vector.verifies(|r, _| r.host = b"evil".to_vec()), "row {row}: host");
        let other = |r: &mut Received| r.encoded = body::Bytes::from("{}");
        assert_eq!(vector.verifies(|r, _| other(r)), row == "O", "row {row}: payload");
        let text = HeaderValue::from_static("text/plain");
        let other = |r: &mut Received| r.headers.insert("content-type", text.clone());
        assert!(
            !vector.verifies(|r, _| {
                other(r);
            }),
            "row {row}: content type"
        );
        let more = |r: &mut Received| r.headers.append("content-type", text.clone());
        assert!(
            !vector.verifies(|r, _| {
                more(r);
            }),
            "row {row}: twice"
        );
        let action = HeaderValue::from_static("DescribeDevices");
        let other = |r: &mut Received| r.headers.insert(ACTION, action.clone());
        let is_covered = vector.authorization().covers(ACTION);
        assert_eq!(
            vector.verifies(|r, _| {
                other(r);
            }),
            !is_covered,
            "row {row}: action"
        );
    }
}

#[test]
fn an_unsigned_payload_can_be_turned_off() {
    let settings = Settings { unsigned_payload: false, ..Settings::default() };
    for vector in VECTORS {
        let (request, authorization) = (vector.request(), vector.authorization());
        let verifies = verifies(&authorization, &request, TIME, KEY, &settings);
        assert_eq!(verifies, vector.row != "O", "row {}", vector.row);
    }
}

#[test]
fn the_service_is_ours_or_the_first_part_of_the_host() {
    for (service, host, ours) in [
        ("bm", "any", true),
        ("127", "127.0.0.1:8443", true),
        ("localhost:8443", "localhost:8443", true),
        ("cvm", "bm.example.com", false),
        ("", "", false),
        ("", ".example.com", false),
    ] {
        assert_eq!(is_our_service(service, host.as_bytes()), ours, "{service} {host}");
    }
}

#[test]
fn only_a_whole_authorization_is_read() {
    let credential = "Credential=AKID/2023-11-14/bm/tc3_request";
    let headers = "SignedHeaders=content-type;host";
    let signature = format!("Signature={}", "0A".repeat(32));
    let whole = format!("{ALGORITHM} {credential}, {headers}, {signature}");
    assert!(Authorization::read(&whole).is_some());
    assert!(Authorization::read(&whole.replace(", ", ",")).is_some());
    for bad in [
        "SKIP".to_owned(),
        ALGORITHM.to_owned(),
        whole.replace("TC3-HMAC-SHA256", "TC3-HMAC-SHA1"),
        whole.replace("/tc3_request", ""),
        whole.replace("/bm/", "/b/m/"),
        whole.replace("tc3_request", "tc4_request"),
        whole.replace(";host", ""),
        whole.replace("content-type;", ""),
        whole.replace("0A0A", "0A"),
        whole.replace("0A0A", "0AxA"),
        whole.replace("Credential", "credential"),
        format!("{ALGORITHM} {headers}, {credential}, {signature}"),
        format!("{whole}, More=1"),
    ] {
        assert!(Authorization::read(&bad).is_none(), "{bad}");
    }
}

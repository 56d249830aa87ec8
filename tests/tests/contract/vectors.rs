//! The clients' own signatures (contract 2.7): what signs here signs as they do.

use opencpm_tests::wire::{Form, Tc3, escaped};

const SECRET_ID: &str = "AKIDEXAMPLE0001";
const SECRET_KEY: &str = "example-secret-key-0001";
const AT: u64 = 1_700_000_000;

fn form(method: &str, host: &str, path: &str, fields: &str) -> Form {
    let common = "Nonce=11886&SecretId=AKIDEXAMPLE0001&Timestamp=1700000000";
    let pairs = [common, fields].into_iter().flat_map(|fields| fields.split('&'));
    let pairs = pairs.map(|pair| pair.split_once('=').expect("a name and a value"));
    Form {
        method: method.to_owned(),
        path: path.to_owned(),
        host: host.to_owned(),
        signed_host: host.to_owned(),
        signed_method: method.to_owned(),
        fields: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        secret_key: SECRET_KEY.to_owned(),
        unsigned: Vec::new(),
        signature: None,
        encode: escaped,
    }
}

#[test]
fn forms_are_signed_as_the_clients_sign_them() {
    let seed = "Region=gz&Action=ResetDevicePasswd";
    let v2 = |method, host, fields: &str| {
        form(method, host, "/v2/index.php", &format!("{seed}&{fields}")).sign()
    };
    let two = "instanceIds_0=cpm-34xs43xs&instanceIds_1=cpm-3xwssdfx&passwd=abce1234";
    let a = "instanceIds.1=cpm-34xs43xs&instanceIds.2=cpm-3xwssdfx&passwd=abce1234";
    assert_eq!(v2("GET", "bm.api.cloud.tencent.com", a), "t8d+HygwOw/tLw2/g/MOcVb8ZRo=");
    assert_eq!(v2("GET", "bm.api.qcloud.com", two), "vI9mhr9RwZZXOGViTqn2ExsfQRE=");
    let at = form(
        "POST",
        "bm.api.qcloud.com",
        "/v2/index.php",
        &format!("{seed}&instanceIds.0=cpm-34xs43xs&passwd=@bce1234"),
    );
    assert_eq!(at.sign(), "Edn0xxHXyeBeHoDMvZiiIH6qpXs=");
    let left_out = Form { unsigned: vec!["passwd".to_owned()], ..at };
    assert_eq!(left_out.sign(), "Ky5a3EI17AtQRuov4LMadoaXCYo=");
    let k = "Action=DescribeOperationResult&Language=zh-CN&Region=ap-guangzhou&TaskId=101&\
             RequestClient=SDK_PYTHON_3.0.1459&SignatureMethod=HmacSHA1&Version=2018-04-23";
    let k = form("GET", "bm.tencentcloudapi.com", "/", k);
    assert_eq!(k.sign(), "3W2IdXtnGChsXxy1SxQo+UjUSzQ=");
    let j = "Action=ResetDevicePassword&InstanceIds.0=cpm-34xs43xs&InstanceIds.1=cpm-3xwssdfx&\
             Language=zh-CN&Password=abce1234&Region=ap-guangzhou&\
             RequestClient=SDK_PYTHON_3.0.1459&SignatureMethod=HmacSHA256&Version=2018-04-23";
    let j = form("POST", "bm.tencentcloudapi.com", "/", j);
    assert_eq!(j.sign(), "9elXAmMt9PYaTjmYdT34zNibAkw8PkQRVV6KczAtrVA=");
}

#[test]
fn tc3_is_signed_as_the_clients_sign_it() {
    let of = |method, host, action, payload: &str| {
        let mut tc3 = Tc3::new(method, host, (SECRET_ID, SECRET_KEY), action, AT);
        tc3.payload = payload.to_owned();
        tc3
    };
    let host = "bm.tencentcloudapi.com";
    let body = r#"{"InstanceIds": ["cpm-34xs43xs", "cpm-3xwssdfx"], "Password": "abce1234"}"#;
    let l = of("POST", host, "ResetDevicePassword", body);
    assert_eq!(l.sign(), "a449008224d6aa1dbef66d28b5b4aac9b91197ba46b61e8fb415541e7178ba99");
    let mut m = l;
    m.set("Content-Type", "application/json; charset=utf-8");
    m.signed.push("x-tc-action".to_owned());
    assert_eq!(m.sign(), "8e2590cb5888f749f951276b500dd24a8d8dbfad600c5469b6a47aa9c678ede0");
    let query = "InstanceIds.0=cpm-34xs43xs&InstanceIds.1=cpm-3xwssdfx&\
                 Password=Ab1%21%40%23%24%25%5E%26%2A%28%29";
    let n = of("GET", host, "ResetDevicePassword", query);
    assert_eq!(n.sign(), "b0e893946798401e9c55c6c23b3188c272967390a06d4b04116b76018d686d4e");
    let mut o = of("POST", "127.0.0.1:8443", "DescribeOperationResult", "any body");
    o.set("X-TC-Content-SHA256", "UNSIGNED-PAYLOAD");
    assert_eq!(o.sign(), "49b91dc4b9a62ab50f7c979b578e044142642cb6a69ee1341801649f0752fb3b");
    let mut p = of("POST", "127.0.0.1:8443", "DescribeOperationResult", r#"{"TaskId":101}"#);
    p.signed_host = "127.0.0.1".to_owned();
    p.service = "127".to_owned();
    assert_eq!(p.sign(), "88d24c0a8e61d8e193e11853e3467dd09f747345d1c71cc6d04f75a1908b566a");
}

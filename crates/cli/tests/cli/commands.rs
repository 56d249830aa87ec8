//! What an operator relies on whatever the service answers.

use crate::scripted::Scripted;

#[test]
fn a_task_is_verified_when_every_success_is_proved() {
    let verify = |verified, devices: &str| {
        let data = format!(r#"{{"taskId":1,"verified":{verified},"devices":[{devices}]}}"#);
        Scripted::data(&data).ask(&["task", "verify", "1"])
    };
    let good = r#"{"instanceId":"cpm-1","verified":true,"finding":"ok"}"#;
    let bad = r#"{"instanceId":"cpm-2","verified":false,"finding":"forged"}"#;
    verify(true, good).succeeds();
    verify(true, "").complains(0, &["nothing to verify"]);
    verify(false, &format!("{good},{bad}")).complains(3, &[]);
    verify(false, bad).complains(4, &[]);
}

//! Sends a mail through SES as moto implements it.

use serde_json::{Value, json};

use crate::support::binary;
use crate::support::lambda::{Lambda, event};
use crate::support::moto::Moto;
use crate::support::stand_ins::StandIns;

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_reaches_all_recipients_once_its_sender_is_verified() {
    let moto = Moto::start().await;
    let stand_ins = StandIns::start().await;
    stand_ins.set_gallery(&[("spring 🌱.mp4", 20), ("東京.png", 60)]);
    let configuration = json!({
        "ayrshare": {"api_key": StandIns::API_KEY, "base_url": stand_ins.ayrshare_url()},
        "profiles": [{"name": "Primary", "primary": true}],
        "channels": [{
            "name": "clients",
            "type": "email",
            "from": "Müller <alerts@example.com>",
            "to": ["maria@example.com", "Zoë <zoe@example.com>"],
        }],
    });
    let lambda = Lambda::serve_with(binary::function(), moto.variables(), &configuration).await;

    let error = lambda.invoke(&event("scheduled")).await.expect_err("an error of the function");
    assert!(error.message.contains("verify alerts@example.com in SES"), "{}", error.message);
    assert_eq!(moto.mails().await, Vec::<Value>::new());

    moto.query("ses", &[("Action", "VerifyEmailIdentity"), ("EmailAddress", "alerts@example.com")]).await;
    let result = lambda.invoke(&event("scheduled")).await.expect("a result");
    assert_eq!(result["channels"][0]["outcome"], "delivered", "{result}");

    let mails = moto.mails().await;
    let [mail] = &mails[..] else { panic!("{} mails arrived", mails.len()) };
    assert_eq!(mail["source"], "=?UTF-8?B?TcO8bGxlcg==?= <alerts@example.com>");
    let to = json!(["maria@example.com", "=?UTF-8?B?Wm/Dqw==?= <zoe@example.com>"]);
    assert_eq!(mail["destinations"]["ToAddresses"], to, "{mail}");
    assert!(mail["subject"].as_str().is_some_and(|subject| subject.contains("2 expire within 3 days")), "{mail}");
    let html = mail["body"].as_str().expect("an HTML part");
    assert!(html.starts_with("<!DOCTYPE html>") && html.contains("東京.png"), "{html}");
}

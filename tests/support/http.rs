//! HTTP events in the formats of API Gateway and of function URLs.

use serde_json::{Value, json};

/// A request, independent of the event format.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    method: String,
    path: String,
    query: String,
    accept: Option<String>,
    body: Option<String>,
    is_authorized: bool,
}

/// An authorized request, for example `GET /report?within=3d`.
pub fn request(method_and_target: &str) -> HttpRequest {
    let (method, target) = method_and_target.split_once(' ').expect("a method and a target");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    HttpRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        accept: None,
        body: None,
        is_authorized: true,
    }
}

impl HttpRequest {
    pub fn accept(mut self, accept: &str) -> Self {
        self.accept = Some(accept.to_owned());
        self
    }

    pub fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    pub fn unauthorized(mut self) -> Self {
        self.is_authorized = false;
        self
    }

    fn headers(&self) -> Value {
        let mut headers = json!({"host": "abc.execute-api.eu-central-1.amazonaws.com", "x-forwarded-proto": "https"});
        if let Some(accept) = &self.accept {
            headers["accept"] = accept.clone().into();
        }
        headers
    }

    /// The event of an HTTP API with the default stage.
    pub fn v2(&self) -> Value {
        let mut event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": self.path,
            "rawQueryString": self.query,
            "headers": self.headers(),
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "abc",
                "http": {"method": self.method, "path": self.path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7"},
                "stage": "$default",
            },
            "isBase64Encoded": false,
        });
        if let Some(body) = &self.body {
            event["body"] = body.clone().into();
        }
        if self.is_authorized {
            event["requestContext"]["authorizer"] = json!({"jwt": {"claims": {"sub": "someone"}, "scopes": null}});
        }
        event
    }

    /// The event of a function URL, with the body in base64.
    pub fn function_url(&self) -> Value {
        use base64::Engine as _;
        let mut event = self.v2();
        let context = &mut event["requestContext"];
        context["domainName"] = "abc.lambda-url.eu-central-1.on.aws".into();
        context.as_object_mut().expect("an object").remove("authorizer");
        if self.is_authorized {
            context["authorizer"] = json!({"iam": {"userArn": "arn:aws:iam::123456789012:user/someone"}});
        }
        if let Some(body) = &self.body {
            event["body"] = base64::engine::general_purpose::STANDARD.encode(body).into();
            event["isBase64Encoded"] = true.into();
        }
        event
    }

    /// The event of a REST API with the stage `prod`. Only the path in its context contains the stage.
    pub fn v1(&self) -> Value {
        let query: Vec<(String, String)> = url::form_urlencoded::parse(self.query.as_bytes()).into_owned().collect();
        let mut multi = json!({});
        for (name, value) in &query {
            match multi.get_mut(name).and_then(Value::as_array_mut) {
                Some(values) => values.push(value.clone().into()),
                None => multi[name] = json!([value]),
            }
        }
        json!({
            "resource": "/{proxy+}",
            "path": format!("/prod{}", self.path),
            "httpMethod": self.method,
            "headers": self.headers(),
            "queryStringParameters": query.iter().cloned().collect::<std::collections::HashMap<_, _>>(),
            "multiValueQueryStringParameters": multi,
            "requestContext": {
                "accountId": "123456789012",
                "stage": "prod",
                "path": format!("/prod{}", self.path),
                "httpMethod": self.method,
                "identity": {"userArn": self.is_authorized.then_some("arn:aws:iam::123456789012:user/someone")},
            },
            "body": self.body,
            "isBase64Encoded": false,
        })
    }
}

/// The answer to an HTTP event.
#[derive(Debug)]
pub struct HttpAnswer {
    pub status: u64,
    pub content_type: String,
    pub headers: Value,
    pub body: Value,
}

impl From<Value> for HttpAnswer {
    fn from(answer: Value) -> Self {
        assert_eq!(answer["isBase64Encoded"], false, "{answer}");
        let headers = answer["headers"].clone();
        let text = answer["body"].as_str().expect("a body");
        Self {
            status: answer["statusCode"].as_u64().expect("a status"),
            content_type: headers["content-type"].as_str().expect("a content type").to_owned(),
            body: serde_json::from_str(text).unwrap_or_else(|_| text.into()),
            headers,
        }
    }
}

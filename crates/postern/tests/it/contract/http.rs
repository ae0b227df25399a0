//! Calls of operations, each checked against the OpenAPI document.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use testkit::client::http::{Request, Response, plain};
use testkit::cluster::Cluster;

use super::document;
use super::schema::Validator;

/// Cluster and document.
pub(super) struct Api<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) document: Value,
    validator: Validator,
    /// Statuses of each operation.
    seen: RefCell<BTreeMap<String, BTreeSet<u16>>>,
}

/// Operation of the document.
#[derive(Clone, Copy)]
pub(super) struct Operation<'a> {
    pub(super) path: &'a str,
    pub(super) method: &'a str,
    pub(super) value: &'a Value,
}

impl Operation<'_> {
    pub(super) fn id(&self) -> &str {
        self.value["operationId"].as_str().unwrap()
    }

    /// Scope that the caller's token needs.
    pub(super) fn scope(&self) -> Option<&str> {
        self.value["security"][0]["internalToken"][0].as_str()
    }

    /// Reports whether a request can fail at will.
    fn can_fail(&self) -> bool {
        let mut statuses = self.value["responses"].as_object().unwrap().keys();
        statuses.any(|status| status.starts_with('4') || status == "503")
    }
}

/// Operations of the document.
pub(super) fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().iter().filter(|(key, _)| *key != "servers");
        operations.extend(methods.map(|(method, value)| Operation { path, method, value }));
    }
    operations
}

/// Operations without a success, and those without a failure that can fail.
pub(super) fn uncovered(document: &Value, seen: &BTreeMap<String, BTreeSet<u16>>) -> Vec<String> {
    let mut uncovered = Vec::new();
    for operation in operations(document) {
        let statuses = seen.get(operation.id()).cloned().unwrap_or_default();
        if !statuses.iter().any(|status| *status < 300) {
            uncovered.push(format!("success of {}", operation.id()));
        }
        // Every operation with a scope refuses callers; that is no case of its own.
        let is_failure = |status: &u16| *status >= 400 && (operation.scope().is_none() || ![401, 403].contains(status));
        if operation.can_fail() && !statuses.iter().any(is_failure) {
            uncovered.push(format!("failure of {}", operation.id()));
        }
    }
    uncovered
}

impl<'a> Api<'a> {
    pub(super) fn new(cluster: &'a Cluster) -> Self {
        let document = document("openapi.json");
        let mut named = Vec::new();
        for operation in operations(&document) {
            for (status, response) in operation.value["responses"].as_object().unwrap() {
                for (media, content) in response["content"].as_object().into_iter().flatten() {
                    let name = format!("{} {status} {media}", operation.id());
                    named.push((name, content["schema"].clone()));
                }
            }
        }
        for (name, webhook) in document["webhooks"].as_object().unwrap() {
            let content = &webhook["post"]["requestBody"]["content"]["application/json"];
            named.push((name.clone(), content["schema"].clone()));
        }
        let validator = Validator::new(&document, named);
        Self {
            cluster,
            document,
            validator,
            seen: RefCell::default(),
        }
    }

    fn operation(&self, id: &str) -> Operation<'_> {
        let mut operations = operations(&self.document).into_iter();
        let operation = operations.find(|operation| operation.id() == id);
        operation.unwrap_or_else(|| panic!("{id} is not in the document"))
    }

    /// Request of an operation with these parameters of its path, and a query.
    pub(super) fn request(&self, id: &str, parameters: &[&str], query: &str) -> Request {
        let operation = self.operation(id);
        let mut parameters = parameters.iter();
        let fill = |segment: &'_ str| match segment.starts_with('{') {
            true => (*parameters.next().unwrap()).to_owned(),
            false => segment.to_owned(),
        };
        let path: Vec<String> = operation.path.split('/').map(fill).collect();
        let request = Request::new(&operation.method.to_uppercase(), &format!("{}{query}", path.join("/")));
        match operation.value.get("requestBody") {
            Some(_) => request.header("Content-Type", "application/json"),
            None => request,
        }
    }

    /// Sends a request of an operation with the token that has all scopes, and checks the response.
    pub(super) async fn call(&self, id: &str, request: Request) -> Response {
        let request = match self.operation(id).scope() {
            Some(_) => request.bearer(self.cluster.internal_token()),
            None => request,
        };
        self.send(id, request).await
    }

    /// Sends a request of an operation as it is, and checks the response.
    pub(super) async fn send(&self, id: &str, request: Request) -> Response {
        let gateway = self.cluster.gateway(0);
        let response = match self.operation(id).value["tags"][0].as_str().unwrap() {
            "internal" => plain(gateway.internal_addr(), &request).await.unwrap(),
            "public" => self.cluster.endpoint(0).http(&request).await.unwrap(),
            _ => plain(gateway.health_addr(), &request).await.unwrap(),
        };
        self.check(id, &response);
        response
    }

    /// Fails unless the document describes the response.
    pub(super) fn check(&self, id: &str, response: &Response) {
        let status = response.status;
        self.seen.borrow_mut().entry(id.to_owned()).or_default().insert(status);
        let described = &self.operation(id).value["responses"][status.to_string()];
        assert!(described.is_object(), "{id}: {status} {}", response.text());
        for header in described["headers"].as_object().into_iter().flatten() {
            assert_ne!(response.header(header.0), "", "{id}: {status} without {}", header.0);
        }
        let Some(content) = described["content"].as_object() else {
            assert_eq!(response.text(), "", "{id}: {status}");
            return;
        };
        let media = response.header("content-type").split(';').next().unwrap();
        assert!(content.contains_key(media), "{id}: {status} {media:?}");
        let is_free = content[media]["schema"] == serde_json::json!({});
        if media.ends_with("json") && !(is_free && response.body.is_empty()) {
            self.validate(&format!("{id} {status} {media}"), &response.json());
        }
    }

    /// Fails unless a value is valid under the schema of this name.
    pub(super) fn validate(&self, name: &str, value: &Value) {
        self.validator.assert(name, value);
    }

    /// Fails unless every operation has succeeded and failed.
    pub(super) fn assert_complete(&self) {
        let none: &[String] = &[];
        assert_eq!(uncovered(&self.document, &self.seen.borrow()), none);
    }
}

//! Every operation of a workspace against every way to ask for what is not one's own.

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::access_key::new_secret;

use super::answers::{ask, code, essence};
use super::estate::{Estate, fill, parameters, rows_of};
use crate::harness::{ADMIN_TOKEN, Harness, text};
use crate::openapi::{Document, Operation};
use crate::raw::RawAnswer;
use crate::table::key_with_scope;

/// An id that nobody has.
pub(super) const UNKNOWN: &str = "2b3c9b1e-7f4f-4a53-9d4b-0c1a7a0d9f11";
/// Paths that show the same to everybody.
const OPEN: [&str; 3] = ["/openapi.json", "/docs", "/docs/{file}"];
/// Fewer requests would mean that part of the matrix was lost.
const CELLS_PER_OPERATION_MIN: usize = 80;

/// The matrix that is being filled.
struct Matrix<'a> {
    harness: &'a Harness,
    own: &'a Estate,
    foreign: &'a Estate,
    problems: Vec<String>,
    cells: usize,
}

/// An operation that is asked, with a body if it takes one.
pub(super) struct Call<'a> {
    pub(super) operation: &'a Operation<'a>,
    pub(super) body: Option<Value>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_tenant_has_is_answered_like_what_is_not_there() {
    let harness = Harness::start().await;
    let own = Estate::plant(&harness, &harness.tenant, "mine", ["+254712345678", "+254110090747"]).await;
    let foreign = Estate::plant(&harness, &harness.other, "zanzibar", ["+254733445566", "+254722987654"]).await;
    let document = Document::read(&harness).await;
    let operations = operations_of_workspaces(&document);
    assert!(operations.len() >= 4, "{} operations", operations.len());
    let (keys, refused) = (scoped_keys(&harness).await, refused_credentials(&harness, &own, &foreign).await);
    let before = rows_of(&harness, &harness.other).await;
    let mut matrix = Matrix { harness: &harness, own: &own, foreign: &foreign, problems: Vec::new(), cells: 0 };
    for operation in &operations {
        let call = Call { operation, body: body_of(operation) };
        matrix.ask_as_a_stranger(&call, &refused).await;
        matrix.ask_for_foreign_ids(&call).await;
        matrix.ask_for_malformed_ids(&call).await;
        matrix.ask_without_the_scope(&call, &keys).await;
        matrix.ask_for_own(&call).await;
    }
    let Matrix { problems, cells, .. } = matrix;
    assert!(problems.is_empty(), "{} of {cells} requests:\n{}", problems.len(), problems.join("\n"));
    assert!(cells > operations.len() * CELLS_PER_OPERATION_MIN, "only {cells} requests");
    assert_eq!(rows_of(&harness, &harness.other).await, before, "rows of the other tenant were changed");
    // The measure can fail: a row of the tenant makes another number.
    let path = harness.other.messages_path();
    let message = json!({ "receiver": { "contacts": [{ "identifierValue": "+254733445566" }] },
        "body": { "type": "text", "text": { "text": "a" } } });
    assert_eq!(ask(&harness, "POST", &path, &[&foreign.credential], Some(&message)).await.status, 202);
    assert_ne!(rows_of(&harness, &harness.other).await, before);
    harness.stop().await;
}

/// The operations that a workspace's key is for. The others must be the operator's or open to everybody.
pub(super) fn operations_of_workspaces(document: &Document) -> Vec<Operation<'_>> {
    let (inside, outside): (Vec<_>, Vec<_>) = document
        .operations()
        .into_iter()
        .filter(|operation| !operation.path.starts_with("/admin/"))
        .partition(|operation| operation.path.contains("{workspaceId}"));
    for Operation { path, .. } in outside {
        assert!(OPEN.contains(&path), "the tenancy tests do not know whose {path} is: add it to `OPEN` or test it");
    }
    inside
}

/// A body that the operation takes, as the document shows one.
pub(super) fn body_of(operation: &Operation<'_>) -> Option<Value> {
    let content = operation.value.pointer("/requestBody/content/application~1json")?;
    let example = content["examples"].as_object().and_then(|examples| examples.values().next());
    Some(example.map_or_else(|| json!({}), |example| example["value"].clone()))
}

/// A key of the tenant for each scope alone.
async fn scoped_keys(harness: &Harness) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for scope in api::scopes() {
        let credential = format!("AccessKey {}", key_with_scope(harness, &scope).await);
        keys.push((scope, credential));
    }
    keys
}

/// Lists of credentials that open nothing.
async fn refused_credentials(harness: &Harness, own: &Estate, foreign: &Estate) -> Vec<Vec<String>> {
    let key = &harness.tenant.access_key;
    let path = format!("/workspaces/{}/access-keys", harness.tenant.workspace);
    let made = harness.admin(Method::POST, &path, Some(json!({ "name": "revoked" }))).await.expect(201);
    harness.admin(Method::DELETE, &format!("{path}/{}", text(&made, "id")), None).await.expect(200);
    let alone = [
        format!("AccessKey {}", text(&made, "accessKey")),
        format!("Bearer {}", text(&made, "accessKey")),
        format!("AccessKey {}", new_secret().expose_secret()),
        format!("Basic {key}"),
        format!("Token {key}"),
        key.clone(),
        format!("AccessKey {}", &key[..key.len() - 1]),
        "AccessKey".to_owned(),
        format!("Bearer {ADMIN_TOKEN}"),
        format!("AccessKey {ADMIN_TOKEN}"),
    ];
    let both = vec![own.credential.clone(), foreign.credential.clone()];
    alone.into_iter().map(|one| vec![one]).chain([Vec::new(), both]).collect()
}

impl Matrix<'_> {
    /// Without a valid key nothing is told: the same 401 whatever the path names and the body holds.
    async fn ask_as_a_stranger(&mut self, call: &Call<'_>, refused: &[Vec<String>]) {
        let path = call.operation.path;
        let unknown = fill(path, |_| UNKNOWN.to_owned());
        let paths = [self.own.fill(path), self.foreign.fill(path), unknown, fill(path, |_| "not-a-uuid".to_owned())];
        let mut told = None;
        for credentials in refused {
            let credentials: Vec<&str> = credentials.iter().map(String::as_str).collect();
            for path in &paths {
                for body in [call.body.clone(), call.body.as_ref().map(|_| json!({ "unsupported": true }))] {
                    let answer = ask(self.harness, &call.operation.method, path, &credentials, body.as_ref()).await;
                    let same = *told.get_or_insert_with(|| essence(&answer)) == essence(&answer);
                    let good = same && (answer.status, code(&answer).as_str()) == (401, "Unauthorized");
                    self.note(good, call, path, &format!("with the credentials {credentials:?}"), &answer);
                }
            }
        }
    }

    /// With ids of the other tenant in some places or all: the answer for an id that nobody has.
    async fn ask_for_foreign_ids(&mut self, call: &Call<'_>) {
        let names = parameters(call.operation.path);
        for chosen in 1..(1_usize << names.len()) {
            let is_chosen =
                |name: &str| names.iter().position(|known| *known == name).is_some_and(|at| chosen >> at & 1 == 1);
            let path = |other: &dyn Fn(&str) -> String| {
                fill(call.operation.path, |name| if is_chosen(name) { other(name) } else { self.own.id(name) })
            };
            let (theirs, nobodys) = (path(&|name| self.foreign.id(name)), path(&|_| UNKNOWN.to_owned()));
            self.compare(call, &self.own.credential, &theirs, &nobodys).await;
        }
        // The other's key finds as little here.
        let nobodys = fill(call.operation.path, |_| UNKNOWN.to_owned());
        let (path, credential) = (self.own.fill(call.operation.path), &self.foreign.credential);
        let answer = ask(self.harness, &call.operation.method, &path, &[credential], call.body.as_ref()).await;
        self.note(self.own.leaks(&answer).is_empty(), call, &path, "with the other's key", &answer);
        self.compare(call, credential, &path, &nobodys).await;
    }

    /// With what is no id at all, or another spelling of the other tenant's.
    async fn ask_for_malformed_ids(&mut self, call: &Call<'_>) {
        for name in parameters(call.operation.path) {
            let with = |value: &str| {
                fill(call.operation.path, |other| if other == name { value.to_owned() } else { self.own.id(other) })
            };
            let unknown = with(UNKNOWN);
            for malformed in malformed(&self.foreign.id(name)) {
                self.compare(call, &self.own.credential, &with(&malformed), &unknown).await;
            }
            // Without the segment it is another path.
            let empty = with("");
            let answer = self.send(call, &self.own.credential, &empty).await;
            self.note(answer.status == 404, call, &empty, "without an id", &answer);
        }
    }

    /// A missing scope is told for the workspace of the key alone, and before what stands in it is looked at.
    async fn ask_without_the_scope(&mut self, call: &Call<'_>, keys: &[(String, String)]) {
        let path = self.own.fill(call.operation.path);
        let (mut opening, mut named) = (Vec::new(), Vec::new());
        let within = fill(call.operation.path, |name| self.with_own_workspace(name, UNKNOWN));
        let theirs = fill(call.operation.path, |name| self.with_own_workspace(name, &self.foreign.id(name)));
        for (scope, credential) in keys {
            let answer = self.send(call, credential, &path).await;
            if answer.status != 403 {
                opening.push(scope.as_str());
                continue;
            }
            self.note(code(&answer) == "Forbidden", call, &path, "without the scope", &answer);
            named.extend(keys.iter().map(|(scope, _)| scope.as_str()).filter(|scope| answer.body.contains(scope)));
            for path in [&within, &theirs] {
                let again = self.send(call, credential, path).await;
                self.note(essence(&again) == essence(&answer), call, path, "without the scope", &again);
            }
            let theirs = self.foreign.fill(call.operation.path);
            self.compare(call, credential, &theirs, &fill(call.operation.path, |_| UNKNOWN.to_owned())).await;
        }
        named.dedup();
        if opening.len() != 1 || named != opening {
            let Operation { method, path, .. } = call.operation;
            self.problems
                .push(format!("{method} {path}: opened by {opening:?}, and refused for the lack of {named:?}"));
        }
    }

    /// Over all this the tenant's own is there, and answered as the document says.
    async fn ask_for_own(&mut self, call: &Call<'_>) {
        let path = self.own.fill(call.operation.path);
        let answer = self.send(call, &self.own.credential, &path).await;
        let documented = call.operation.value["responses"].get(answer.status.to_string()).is_some();
        let served = documented && ![401, 403, 404, 405, 429].contains(&answer.status) && answer.status < 500;
        self.note(served, call, &path, "for the tenant's own", &answer);
    }

    /// Asks for what is not one's own and for what is not there: both are 404, and nothing tells them apart.
    async fn compare(&mut self, call: &Call<'_>, credential: &str, path: &str, unknown: &str) {
        let (answer, expected) = (self.send(call, credential, path).await, self.send(call, credential, unknown).await);
        let same = essence(&answer) == essence(&expected);
        self.note(same, call, path, &format!("not as for {unknown}: {}", expected.body), &answer);
        self.note((answer.status, code(&answer).as_str()) == (404, "NotFound"), call, path, "not 404", &answer);
    }

    async fn send(&mut self, call: &Call<'_>, credential: &str, path: &str) -> RawAnswer {
        let answer = ask(self.harness, &call.operation.method, path, &[credential], call.body.as_ref()).await;
        let leaks = self.foreign.leaks(&answer);
        if credential != self.foreign.credential {
            self.note(leaks.is_empty(), call, path, &format!("tells {leaks:?}"), &answer);
        }
        self.note(answer.status < 500, call, path, "a fault of ours", &answer);
        answer
    }

    fn with_own_workspace(&self, name: &str, other: &str) -> String {
        if name == "workspaceId" { self.own.id(name) } else { other.to_owned() }
    }

    fn note(&mut self, good: bool, call: &Call<'_>, path: &str, what: &str, answer: &RawAnswer) {
        self.cells += 1;
        if !good {
            let path: String = path.chars().take(300).collect();
            self.problems
                .push(format!("{} {path}: {what}\n  {} {}", call.operation.method, answer.status, answer.body));
        }
    }
}

/// Segments that are no id, or spell one in another way.
fn malformed(theirs: &str) -> Vec<String> {
    let fixed =
        ["not-a-uuid", "..", "%2e%2e", ".", "%20", "-", "*", "0", "%00", "%25", "%ff", "NULL", "2b3c9b1e-7f4f-4a53"];
    let spelled = [
        theirs.replace('-', ""),
        theirs.to_uppercase(),
        format!("%7B{theirs}%7D"),
        format!("urn:uuid:{theirs}"),
        format!("{theirs}%00"),
        format!("{theirs}%20"),
        format!("%20{theirs}"),
        format!("{theirs};a=b"),
        "a".repeat(5000),
        UNKNOWN.replace('-', ""),
    ];
    fixed.into_iter().map(str::to_owned).chain(spelled).collect()
}

//! A stand-in for the endpoint of `[profiles_from]`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Serves one document, and records the requests for it.
pub struct ListStandIn {
    url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    answer: String,
    delay: Duration,
    requests: Vec<String>,
}

impl ListStandIn {
    pub async fn start(body: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}/profiles?tenant=7", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State { answer: with_status("200 OK", "", body), ..State::default() }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state, task }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Serves another document.
    pub fn document(&self, body: &str) {
        self.raw(&with_status("200 OK", "", body));
    }

    /// Answers with this status line and these headers.
    pub fn refuse(&self, status: &str, headers: &str) {
        self.raw(&with_status(status, headers, "{\"detail\": \"LIST-DETAIL\"}"));
    }

    /// Sends these bytes and closes the connection.
    pub fn raw(&self, answer: &str) {
        answer.clone_into(&mut self.state().answer);
    }

    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// The heads of all requests, with their names in lower case.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ListStandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn with_status(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let (answer, delay) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests.push(String::from_utf8_lossy(&head).into_owned());
        (state.answer.clone(), state.delay)
    };
    tokio::time::sleep(delay).await;
    // The client may have gone.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

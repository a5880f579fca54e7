//! What the application does: runs that are begun by lookups and go on as a test says.

use std::sync::Arc;

use bytes::Bytes;
use hotplate::clock::Clock;
use hotplate::exchange::{CLIENT_ONLY_FIELDS, ChunkStep, Edits, Exchange, HeadStep, Response};
use hotplate::share::Sought;
use hotplate_policy::fields::Fields;

use crate::answer::Answer;
use crate::ask::Ask;
use crate::reply::Reply;
use crate::world::{ClientId, LoadId, Standing, World};

type Lines = Vec<(String, Vec<u8>)>;

/// A run of the application, or a refresh that may become one.
pub struct Load {
    pub process: usize,
    /// `None`: it has ended.
    pub exchange: Option<Exchange<Bytes>>,
    pub client: Option<ClientId>,
    pub ask: Ask,
    /// It has the permit of its process.
    pub owned_by_cache: bool,
    /// It has the lease of all processes.
    pub leased: bool,
    /// The application has been asked.
    pub runs: bool,
    /// What the application read when it was asked.
    pub read: u64,
    /// What the application was asked.
    pub fields: Vec<(String, String)>,
    held: Option<(u16, Lines)>,
}

impl Load {
    /// The value of a field the application sees.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// It answers the same requests as another.
    pub fn is_for(&self, other: &Self) -> bool {
        let side = |load: &Self| load.ask.fields.iter().find(|(name, _)| name == "x-side").cloned();
        self.ask.path == other.ask.path && side(self) == side(other)
    }

    pub fn is_open(&self) -> bool {
        self.runs && self.exchange.is_some()
    }
}

impl World {
    pub fn open(
        &mut self,
        process: usize,
        exchange: Exchange<Bytes>,
        client: Option<ClientId>,
        ask: Ask,
        owned_by_cache: bool,
    ) -> LoadId {
        let load = LoadId(self.loads.len());
        self.loads.push(Load {
            process,
            exchange: Some(exchange),
            client,
            ask,
            owned_by_cache,
            leased: false,
            runs: false,
            read: 0,
            fields: Vec::new(),
            held: None,
        });
        if let Some(client) = client {
            self.clients[client.0].standing = Standing::Loading;
        }
        load
    }

    pub fn application_is_asked(&mut self, load: LoadId) {
        let read = self.data.get(&self.loads[load.0].ask.path).copied().unwrap_or_default();
        let run = &mut self.loads[load.0];
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let mut fields: Vec<(String, String)> =
            run.ask.fields.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        if let (true, Some(exchange)) = (run.owned_by_cache, &run.exchange) {
            fields.retain(|(name, _)| !CLIENT_ONLY_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own)));
            let how = exchange.load_request();
            fields.extend(how.add.iter().map(|(name, value)| ((*name).to_owned(), text(value))));
        }
        run.fields = fields;
        run.read = read;
        run.runs = true;
        let (process, path, leased) = (run.process, run.ask.path.clone(), run.leased);
        self.tell(|| format!("{load:?} of {process} runs for {path} and reads {read}, leased {leased}"));
    }

    /// What the job of a refresh has come to.
    pub fn refreshed(&mut self, load: LoadId, sought: Sought) {
        self.tell(|| format!("refresh {load:?}: {}", crate::clients::word(&sought)));
        let run = &mut self.loads[load.0];
        run.leased = matches!(sought, Sought::Lease(_));
        let Some(exchange) = &mut run.exchange else { return };
        if exchange.refreshed(sought) {
            self.application_is_asked(load);
        } else {
            run.exchange = None;
        }
    }

    /// How often the application was asked.
    pub fn runs(&self) -> usize {
        self.loads.iter().filter(|load| load.runs).count()
    }

    /// How many of the runs but the first `runs` nobody waits for.
    pub fn refreshes_run_since(&self, runs: usize) -> usize {
        self.loads.iter().filter(|load| load.runs).skip(runs).filter(|load| load.client.is_none()).count()
    }

    /// The runs that have not ended.
    pub fn open_loads(&self) -> Vec<LoadId> {
        (0..self.loads.len()).filter(|load| self.loads[*load].is_open()).map(LoadId).collect()
    }

    /// The open runs nobody waits for.
    pub fn refreshes(&self) -> Vec<LoadId> {
        self.open_loads().into_iter().filter(|load| self.loads[load.0].client.is_none()).collect()
    }

    /// The open run for this client.
    pub fn load_of(&self, client: ClientId) -> Option<LoadId> {
        self.open_loads().into_iter().find(|load| self.loads[load.0].client == Some(client))
    }

    /// The open run for this client, which there must be.
    pub fn load(&self, client: ClientId) -> LoadId {
        self.load_of(client).expect("the application runs for this client")
    }

    /// Plays a run to its end with this answer.
    pub fn finish_with(&mut self, load: LoadId, reply: &Reply) {
        if let Some(error) = reply.raises_before_head() {
            self.raise(load, error);
            return;
        }
        self.head(load, reply);
        for (index, chunk) in reply.chunks.iter().enumerate() {
            let last = index + 1 == reply.chunks.len() && reply.complete;
            self.chunk(load, chunk, last);
        }
        match &reply.raises {
            Some(error) => self.raise(load, error),
            None => self.end(load),
        }
    }

    /// The application sends the head of `reply`.
    pub fn head(&mut self, load: LoadId, reply: &Reply) {
        self.tell(|| format!("{load:?} answers {}", reply.status));
        let now = self.clock.now();
        let lines: Vec<(&[u8], &[u8])> =
            reply.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
        let run = &mut self.loads[load.0];
        let Some(exchange) = &mut run.exchange else { return };
        let step =
            exchange.head(reply.status, Fields::new(&lines), reply.trailers, reply.dependency.as_ref(), now);
        // What cannot be stored needs no lease: those who wait go at once.
        run.leased &= exchange.is_recording();
        let own = (reply.status, reply.fields.clone());
        match step {
            HeadStep::Send(edits) => {
                if !exchange.is_answered() {
                    self.begin_answer(load, own, edits);
                }
            }
            HeadStep::Hold => run.held = Some(own),
            HeadStep::Answer(response) => self.answer_client_of(load, &response),
            HeadStep::Discard => {}
        }
        self.gather();
    }

    /// The application sends a chunk.
    pub fn chunk(&mut self, load: LoadId, content: &[u8], last: bool) {
        self.tell(|| format!("{load:?} sends {} bytes, last {last}", content.len()));
        let now = self.clock.now();
        let run = &mut self.loads[load.0];
        let Some(exchange) = &mut run.exchange else { return };
        match exchange.chunk(Bytes::copy_from_slice(content), last, now) {
            ChunkStep::Send => self.send_chunk(load, content, last),
            ChunkStep::SendHead(edits) => {
                let held = run.held.take().expect("a head was held");
                self.begin_answer(load, held, edits);
                self.send_chunk(load, content, last);
            }
            ChunkStep::Answer(response) => {
                run.held = None;
                self.answer_client_of(load, &response);
            }
            ChunkStep::Drop => {}
        }
        self.gather();
    }

    /// The application returns.
    pub fn end(&mut self, load: LoadId) {
        let Some(exchange) = &mut self.loads[load.0].exchange else { return };
        if exchange.end() {
            self.application_is_asked(load);
        } else {
            self.close(load);
        }
        self.gather();
    }

    /// The application raises.
    pub fn raise(&mut self, load: LoadId, error: &str) {
        let now = self.clock.now();
        let run = &mut self.loads[load.0];
        let Some(exchange) = &mut run.exchange else { return };
        if let Some(response) = exchange.fail(Arc::new(error.to_owned()), now) {
            self.answer_client_of(load, &response);
        } else if let Some(client) = run.client {
            let client = &mut self.clients[client.0];
            if client.standing == Standing::Loading && client.answer.status == 0 {
                client.standing = Standing::Raised;
                client.raised = Some(error.to_owned());
            }
        }
        self.close(load);
        self.gather();
    }

    /// The run will not end: its task was cancelled from outside.
    pub fn abandon(&mut self, load: LoadId) {
        if let Some(exchange) = &mut self.loads[load.0].exchange {
            exchange.abandon();
        }
        self.close(load);
        self.gather();
    }

    fn close(&mut self, load: LoadId) {
        self.tell(|| format!("{load:?} ends"));
        let run = &mut self.loads[load.0];
        run.exchange = None;
        run.held = None;
        if let Some(client) = run.client {
            let client = &mut self.clients[client.0];
            if client.standing == Standing::Loading {
                client.standing = Standing::Cut;
            }
        }
    }

    fn begin_answer(&mut self, load: LoadId, (status, mut fields): (u16, Lines), edits: Edits) {
        let Some(client) = self.loads[load.0].client else { return };
        fields.retain(|(name, _)| !edits.replaces(name.as_bytes()));
        fields.extend(edits.append.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let answer = &mut self.clients[client.0].answer;
        assert_eq!(answer.status, 0, "a second head for one client");
        answer.status = status;
        answer.fields = fields;
    }

    fn send_chunk(&mut self, load: LoadId, content: &[u8], last: bool) {
        let run = &self.loads[load.0];
        let (Some(client), head_only) = (run.client, run.ask.method == "HEAD") else { return };
        let client = &mut self.clients[client.0];
        assert_ne!(client.answer.status, 0, "content before its head");
        if !head_only {
            client.answer.body.extend_from_slice(content);
        }
        if last && client.standing == Standing::Loading {
            client.standing = Standing::Answered;
        }
    }

    fn answer_client_of(&mut self, load: LoadId, response: &Response<Bytes>) {
        let client = self.loads[load.0].client.expect("an answer is for a client");
        self.answer_whole(client, response);
    }

    pub fn answer_whole(&mut self, client: ClientId, response: &Response<Bytes>) {
        let client = &mut self.clients[client.0];
        assert_eq!(client.answer.status, 0, "a second answer for one client");
        client.answer = Answer::of(response);
        if client.standing != Standing::Gone {
            client.standing = Standing::Answered;
        }
        client.answer.assert_consistent(&client.ask.method);
        let words = format!("{:?} gets {}", client.answer.cache_status(), client.answer.text());
        self.tell(|| words);
    }
}

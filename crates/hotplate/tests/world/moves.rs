//! How the world moves: from a lookup to a run of the application, from its steps to the client's answer, and who is
//! woken by it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hotplate::clock::Clock;
use hotplate::config::RuleId;
use hotplate::exchange::{CLIENT_ONLY_FIELDS, Edits, Exchange, Lookup, Partition, Response, Round};

use super::{Answer, Ask, ClientId, Lines, Load, LoadId, MAX_BYTES, Seen, Standing, Woken, World};

impl World {
    pub(super) fn look_up(&mut self, client: ClientId, mut round: Round<Bytes>) {
        loop {
            let ask = self.clients[client.0].ask.clone();
            let lines: Vec<(&[u8], &[u8])> =
                ask.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
            let request = ask.request(&lines, round.body_refused);
            let partition = |_: RuleId| ask.partition.clone().unwrap_or(Partition::Refused);
            let found = self.http.lookup(&request, &round, self.clock.now(), &mut { partition });
            match found {
                Lookup::NeedBody { limit } => {
                    let body = ask.body.clone().unwrap_or_default();
                    round.body_refused = body.len() > limit;
                    self.clients[client.0].ask.reads_body = true;
                    continue;
                }
                Lookup::Serve(response) => {
                    self.decided += 1;
                    self.answer_whole(client, &response);
                }
                Lookup::ServeAndRefresh(response, exchange) => {
                    self.decided += 1;
                    self.answer_whole(client, &response);
                    self.open(exchange, None, ask, true);
                }
                Lookup::Forward(exchange) => {
                    self.decided += 1;
                    self.open(exchange, Some(client), ask, false);
                }
                Lookup::Load(exchange) => {
                    self.decided += 1;
                    self.open(exchange, Some(client), ask, true);
                }
                Lookup::Seek(_) => unreachable!("these worlds have no shared tier"),
                Lookup::Wait(ticket) => {
                    let known = &mut self.clients[client.0];
                    known.standing = Standing::Waiting;
                    known.waits = round.waits;
                    // As if woken: a task that has just been made is polled once.
                    known.waiting = Some((ticket, Arc::new(Woken(AtomicBool::new(true)))));
                }
                Lookup::Raised(error) => {
                    self.shared_exceptions += 1;
                    let text = error.downcast_ref::<String>().expect("exceptions are texts here").clone();
                    let known = &mut self.clients[client.0];
                    known.standing = Standing::Raised;
                    known.raised = Some(text);
                }
            }
            return;
        }
    }

    fn open(&mut self, exchange: Exchange<Bytes>, client: Option<ClientId>, ask: Ask, owned_by_cache: bool) {
        let head_only = ask.method == "HEAD";
        let load = LoadId(self.loads.len());
        self.loads.push(Load {
            exchange,
            client,
            ask,
            owned_by_cache,
            head_only,
            open: true,
            run: 0,
            held: None,
        });
        if let Some(client) = client {
            self.clients[client.0].standing = Standing::Loading;
        }
        self.application_is_asked(load);
    }

    pub(super) fn application_is_asked(&mut self, load: LoadId) {
        let run = &self.loads[load.0];
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let mut method = run.ask.method.clone();
        let mut fields: Vec<(String, String)> =
            run.ask.fields.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        if run.owned_by_cache {
            let how = run.exchange.load_request();
            fields.retain(|(name, _)| !CLIENT_ONLY_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own)));
            fields.extend(how.add.iter().map(|(name, value)| ((*name).to_owned(), text(value))));
            if how.as_get {
                method = "GET".into();
            }
        }
        let seen = Seen { method, path: run.ask.path.clone(), fields };
        self.loads[load.0].run = self.seen.len();
        self.seen.push(seen);
    }

    pub(super) fn begin_answer(&mut self, load: LoadId, (status, mut fields): (u16, Lines), edits: Edits) {
        let Some(client) = self.loads[load.0].client else { return };
        fields.retain(|(name, _)| !edits.replaces(name.as_bytes()));
        fields.extend(edits.append.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let answer = &mut self.clients[client.0].answer;
        assert_eq!(answer.status, 0, "a second head for one client");
        answer.status = status;
        answer.fields = fields;
    }

    pub(super) fn send_chunk(&mut self, load: LoadId, content: &[u8], last: bool) {
        let run = &self.loads[load.0];
        let Some(client) = run.client else { return };
        let client = &mut self.clients[client.0];
        assert_ne!(client.answer.status, 0, "content before its head");
        if !run.head_only {
            client.answer.body.extend_from_slice(content);
        }
        if last && client.standing == Standing::Loading {
            client.standing = Standing::Answered;
        }
    }

    pub(super) fn answer_client_of(&mut self, load: LoadId, response: &Response<Bytes>) {
        let client = self.loads[load.0].client.expect("an answer is for a client");
        self.answer_whole(client, response);
    }

    fn answer_whole(&mut self, client: ClientId, response: &Response<Bytes>) {
        let client = &mut self.clients[client.0];
        assert_eq!(client.answer.status, 0, "a second answer for one client");
        client.answer = Answer::of(response);
        if client.standing != Standing::Gone {
            client.standing = Standing::Answered;
        }
        client.answer.assert_consistent(&client.ask.method);
    }

    pub(super) fn close(&mut self, load: LoadId, otherwise: Standing) {
        let run = &mut self.loads[load.0];
        run.open = false;
        run.held = None;
        if let Some(client) = run.client {
            let client = &mut self.clients[client.0];
            if client.standing == Standing::Loading {
                client.standing = otherwise;
            }
        }
    }

    /// Polls everybody who was woken until nobody is.
    pub(super) fn settle(&mut self) {
        self.check();
        loop {
            let woken = (0..self.clients.len()).find(|index| {
                let waiting = self.clients[*index].waiting.as_ref();
                waiting.is_some_and(|(_, woken)| woken.0.load(Ordering::SeqCst))
            });
            let Some(index) = woken else { break };
            let client = &mut self.clients[index];
            let Some((mut ticket, woken)) = client.waiting.take() else { break };
            woken.0.store(false, Ordering::SeqCst);
            let waker = Waker::from(Arc::clone(&woken));
            match Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker)) {
                Poll::Pending => client.waiting = Some((ticket, woken)),
                Poll::Ready(end) => {
                    let waits = client.waits + 1;
                    self.look_up(ClientId(index), Round { end: Some(end), waits, ..Round::default() });
                }
            }
        }
        self.check();
    }

    /// What holds at any time.
    pub fn check(&self) {
        for client in &self.clients {
            if let Some((ticket, woken)) = &client.waiting {
                let slept = ticket.try_end().is_some() && !woken.0.load(Ordering::SeqCst);
                assert!(!slept, "a client sleeps although the load it waits for has ended");
            }
        }
        let stats = self.stats();
        let counted = self.counted();
        // A request for which the application runs is counted when it is known what that comes to; what a shared exception
        // counts as is a test of its own.
        let open = self.loads.iter().filter(|load| load.open && load.client.is_some()).count() as u64;
        assert!(
            (self.decided - open..=self.decided + self.shared_exceptions).contains(&counted),
            "{} requests were decided, {open} run, {counted} counted: {stats:?}",
            self.decided,
        );
        assert!(stats.bytes <= MAX_BYTES, "{} bytes", stats.bytes);
    }

    /// All requests the counters know of.
    pub fn counted(&self) -> u64 {
        let stats = self.stats();
        stats.hits + stats.misses + stats.stale + stats.validated + stats.forwarded.iter().sum::<u64>()
    }

    /// The requests that have got an answer, an exception, or a run of the application.
    pub fn decided(&self) -> u64 {
        self.decided + self.shared_exceptions
    }
}

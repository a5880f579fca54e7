//! What a request would get, and what is stored for it, without answering it.

use hotplate_policy::explain::{Act, Decision};
use hotplate_policy::freshness::Flags;
use hotplate_policy::reason::Reason;
use hotplate_policy::request::RequestHead;
use hotplate_policy::reuse::{self, Reuse};
use hotplate_policy::storing;
use hotplate_policy::time::Timestamp;

use super::find::Found;
use super::{HttpCache, Partition};
use crate::config::RuleId;
use crate::entry::Body;
use crate::exchange::request::Request;
use crate::key::{Key, KeyParts};
use crate::log::Standing;
use crate::rules::Cookies;
use crate::share::{Place, Purpose, SeekJob};

impl<B: Body> HttpCache<B> {
    /// What would be done with a request now, by what this process has; nothing is counted and nobody is asked.
    pub fn explain(
        &self,
        request: &Request<'_>,
        partition: &mut dyn FnMut(RuleId) -> Partition,
        now: Timestamp,
    ) -> Decision {
        let forwarded = |reason| Decision::new(Act::Forwarded, reason);
        let head = RequestHead::new(request.method, request.fields);
        let spoken = self.settings.rule_for(request.method, request.path);
        let rule = match self.admit(request, &head, spoken) {
            Ok((_, rule)) => rule,
            Err(reason) => return forwarded(reason),
        };
        let honor = self.settings.honor_request_directives;
        let missed = |reason| match honor && head.directives.only_if_cached {
            true => Decision::new(Act::Refused, Reason::OnlyIfCached),
            false => forwarded(reason),
        };
        let name = match self.name_of(request, partition) {
            Ok(name) => name,
            Err(reason) => return forwarded(reason),
        };
        let mut normalised = Vec::new();
        let Some(parts) = self.parts(request, name.as_deref(), &mut normalised) else {
            return forwarded(Reason::UriMiss);
        };
        let ignores_cookies = rule.cookies != Cookies::Guard;
        let guard = storing::request_guard(self.settings.profile, &head, name.is_some(), ignores_cookies);
        let (entry, standing) = match self.find_by_parts(Key::of(&parts), &parts, request.fields, now) {
            Found::Response(entry, _, standing) => (entry, standing),
            Found::OtherVariants(_) => return missed(guard.unwrap_or(Reason::VaryMiss)),
            Found::HitForMiss(_) => return missed(Reason::HitForMiss),
            Found::Nothing(reason, _) => return missed(guard.unwrap_or(reason)),
        };
        let meta = &entry.meta();
        let shareable = guard.is_none() || meta.flags.contains(Flags::PUBLIC);
        let reuse = match reuse::decide(&head, honor, meta, shareable, now) {
            Reuse::Fresh | Reuse::StaleAllowed if standing == Standing::Soft => {
                if reuse::may_serve_stale_soft(&head, honor, meta, now) {
                    Reuse::StaleWhileRevalidate
                } else {
                    Reuse::Validate(Reason::SoftInvalidated)
                }
            }
            reuse => reuse,
        };
        Decision::of_reuse(reuse, meta, now)
    }

    /// The key of a request, if one of these settings' rules lets it be cached. For a request whose body is in its key
    /// there is none.
    ///
    /// # Errors
    ///
    /// Why it has none.
    pub fn key_of(
        &self,
        request: &Request<'_>,
        partition: &mut dyn FnMut(RuleId) -> Partition,
    ) -> Result<Key, Reason> {
        let head = RequestHead::new(request.method, request.fields);
        self.admit(request, &head, self.settings.rule_for(request.method, request.path))?;
        let name = self.name_of(request, partition)?;
        let mut normalised = Vec::new();
        let parts = self.parts(request, name.as_deref(), &mut normalised).ok_or(Reason::RequestBody)?;
        Ok(self.significant(&parts).unwrap_or_else(|| Key::of(&parts)))
    }

    /// Looks in the shared tier for what is stored under a key that [`HttpCache::key_of`] gave; `None`: there is none, or it
    /// cannot be asked.
    pub fn look(&self, request: &Request<'_>, key: Key) -> Option<SeekJob> {
        let share = self.cache.share.as_ref().filter(|share| share.is_up())?;
        let uri = Some((request.authority.into(), request.path.into()));
        Some(SeekJob::new(share, key, Place { primary: key, uri }, None, Purpose::Read))
    }

    fn name_of(
        &self,
        request: &Request<'_>,
        partition: &mut dyn FnMut(RuleId) -> Partition,
    ) -> Result<Option<Vec<u8>>, Reason> {
        let id = self.settings.rule_for(request.method, request.path).unwrap_or(RuleId::Default);
        if !self.settings.rule(id).partitioned {
            return Ok(None);
        }
        match partition(id) {
            Partition::Name(name) => Ok(Some(name)),
            Partition::Refused => Err(Reason::PartitionRefused),
            Partition::Failed => Err(Reason::PartitionFailed),
        }
    }

    fn parts<'a>(
        &self,
        request: &Request<'a>,
        name: Option<&'a [u8]>,
        normalised: &'a mut Vec<u8>,
    ) -> Option<KeyParts<'a>> {
        let id = self.settings.rule_for(request.method, request.path).unwrap_or(RuleId::Default);
        matches!(request.method, "GET" | "HEAD").then(|| KeyParts {
            site: self.site,
            method: "GET",
            scheme: request.scheme,
            authority: request.authority,
            path: request.raw_path,
            query: self.settings.rule(id).query.apply(request.query, normalised),
            partition: name,
            body: None,
        })
    }
}

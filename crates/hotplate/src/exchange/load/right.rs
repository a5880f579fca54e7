//! The right to load: in this process a permit, among all processes a lease; and how both end.

use hotplate_policy::reason::Reason;
use hotplate_policy::time::Timestamp;

use super::Exchange;
use crate::cache::Outcome;
use crate::entry::{Began, Body};
use crate::fill::End;
use crate::log::Standing;
use crate::share::{self, Lease, Place, SeekJob, Sought};
use crate::tier::local::Slot;
use crate::tier::shared::{LeaseEnd, Stamp};

impl<B: Body> Exchange<B> {
    /// The load is for all processes.
    pub(crate) fn hold(&mut self, lease: Option<Lease>) {
        self.lease = lease;
    }

    /// For a refresh, where there is a shared tier: what is to be awaited before the application is run.
    #[must_use]
    pub fn refresh_job(&self) -> Option<SeekJob> {
        let share = self.http.cache.share.as_ref().filter(|share| share.is_up())?;
        let known = self.origin.stale.as_ref().map_or(self.request_time, |stale| stale.meta().request_time);
        let place = Place {
            primary: self.primary?,
            uri: Some((self.request.authority.clone(), self.request.path.clone())),
        };
        Some(SeekJob::new(share, self.origin.key, place, Some(known), share::Purpose::Refresh))
    }

    /// What [`Exchange::refresh_job`] came to.
    ///
    /// # Returns
    ///
    /// Whether the application is to be run: no other process has refreshed the response, or does.
    pub fn refreshed(&mut self, sought: Sought) -> bool {
        match sought {
            Sought::Lease(lease) => {
                self.lease = Some(lease);
                true
            }
            Sought::Nothing => true,
            Sought::Found(sighting) => {
                self.on_its_way(|http, way| http.land(way, *sighting));
                self.finish_permit(End::Stored);
                false
            }
            Sought::Vary(_) | Sought::Search(_) | Sought::NotStorable | Sought::Busy => {
                self.abandon();
                false
            }
        }
    }

    pub(super) fn finish_permit(&mut self, end: End<Outcome<B>>) {
        if let Some(lease) = self.lease.take() {
            lease.end(match &end {
                // What is stored for all takes the lease with it.
                End::Stored | End::Given(_) | End::Abandoned => LeaseEnd::Abandoned,
                End::NotStorable => LeaseEnd::NotStorable,
                End::Failed(_) => LeaseEnd::Failed,
            });
        }
        if let Some(permit) = self.permit.take() {
            permit.finish(end);
        }
    }

    /// The answer cannot be stored: whoever waits goes at once, and for a while nobody waits for this key.
    pub(super) fn remember_not_storable(&mut self, reason: Reason, now: Timestamp) {
        self.http.cache.counters.count_not_stored(reason);
        if self.permit.is_some() {
            let _publishing = self.http.cache.publishing();
            let began = Began { position: self.position, request_time: self.request_time };
            let key = self.origin.key;
            self.on_its_way(|http, way| {
                let keep = match http.slot(way, key) {
                    Some(Slot::Response(present)) => {
                        let standing = http.cache.log.standing(present.footprint(), present.position);
                        let fresh = present.is_fresh(now) && !present.meta().flags.is_no_cache();
                        present.began() > began || (fresh && standing == Standing::Current)
                    }
                    Some(Slot::Sole(_) | Slot::Vary(_) | Slot::Search(_)) => true,
                    Some(Slot::HitForMiss { .. }) | None => false,
                };
                if !keep {
                    http.vacate(way, key);
                    let until = now.plus(http.settings.hit_for_miss);
                    http.cache.local.insert(key, Slot::HitForMiss { until });
                }
            });
        }
        self.finish_permit(End::NotStorable);
    }

    /// When the load began as other processes understand it, and the right to it; the latter is there once.
    pub(crate) fn for_all(&mut self) -> (Option<Stamp>, Option<Lease>) {
        (self.stamp, self.lease.take())
    }
}

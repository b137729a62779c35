#include "rpc/remote_binder.h"

#include <utility>

#include "rpc/parcel.h"
#include "rpc/session_core.h"

namespace adyton::rpc {

RemoteBinder::RemoteBinder(std::shared_ptr<SessionCore> session, uint64_t address)
    : session_(std::move(session)), address_(address) {}

RemoteBinder::~RemoteBinder() { session_->proxy_is_gone(address_, this); }

Status RemoteBinder::transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t flags) {
  return session_->call(this, code, data, reply, flags);
}

std::string RemoteBinder::interface_descriptor() {
  {
    const std::lock_guard lock(mutex_);
    if (descriptor_) return *descriptor_;
  }
  Parcel reply;
  if (!transact(kInterface, Parcel(), &reply).is_ok()) return {};
  auto descriptor = reply.read_string();
  if (!descriptor) return {};
  const std::lock_guard lock(mutex_);
  descriptor_ = *descriptor;
  return *std::move(descriptor);
}

bool RemoteBinder::is_alive() const { return session_->is_alive(); }

Reply<uint64_t> RemoteBinder::link_to_death(DeathRecipient recipient) {
  if (Status watched = session_->watch(); !watched.is_ok()) return std::unexpected(std::move(watched));
  const std::lock_guard lock(mutex_);
  // The session is marked as ended before it comes for the recipients, so one that is added here is not missed.
  if (!session_->is_alive()) return fail(TransportError::kDeadObject);
  recipients_.emplace(next_cookie_, std::move(recipient));
  return next_cookie_++;
}

bool RemoteBinder::unlink_to_death(uint64_t cookie) {
  DeathRecipient dropped;  // destroyed without the lock
  const std::lock_guard lock(mutex_);
  const auto at = recipients_.find(cookie);
  if (at == recipients_.end()) return false;
  dropped = std::move(at->second);
  recipients_.erase(at);
  return true;
}

std::vector<DeathRecipient> RemoteBinder::take_recipients() {
  const std::lock_guard lock(mutex_);
  std::vector<DeathRecipient> recipients;
  recipients.reserve(recipients_.size());
  for (auto& [cookie, recipient] : recipients_) recipients.push_back(std::move(recipient));
  recipients_.clear();
  return recipients;
}

}  // namespace adyton::rpc

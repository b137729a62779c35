// A proxy for an object on the other side of a session.
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "rpc/binder.h"

namespace adyton::rpc {

class SessionCore;

// Made by sessions only. The same remote object yields the same proxy while one is alive. Keeps its session alive.
//
// A call that fails because the session has ended, or ends it, is kDeadObject. kWouldBlock: a call that is not nested in one from
// the peer, over a session that has no connection in this direction (see SessionOptions::incoming_connections), or none that is
// not in use by the calling thread itself. kNoMemory: larger than the session's body limit. kFdsNotAllowed: see FdPassing.
// kInvalidOperation: an argument is a proxy of another session.
class RemoteBinder final : public Binder {
 public:
  RemoteBinder(std::shared_ptr<SessionCore> session, uint64_t address);
  ~RemoteBinder() override;

  Status transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t flags = 0) override;
  std::string interface_descriptor() override;
  [[nodiscard]] bool is_alive() const override;
  Reply<uint64_t> link_to_death(DeathRecipient recipient) override;
  bool unlink_to_death(uint64_t cookie) override;

  // For the session.
  [[nodiscard]] const SessionCore* session() const { return session_.get(); }
  [[nodiscard]] uint64_t address() const { return address_; }
  std::vector<DeathRecipient> take_recipients();

 private:
  const std::shared_ptr<SessionCore> session_;
  const uint64_t address_;
  std::mutex mutex_;
  std::optional<std::string> descriptor_;
  std::map<uint64_t, DeathRecipient> recipients_;
  uint64_t next_cookie_ = 1;
};

}  // namespace adyton::rpc

// The objects that a session's two sides know of each other, by wire address: who holds how many references, and which oneway
// calls wait for their turn. A pure state machine: no sockets, no locks; the session guards it.
//
// Counting (AOSP: RpcState::BinderNode). `times_sent` is how often an object, ours or theirs, went to the peer, as an argument or
// as the target of a call, less what the peer gave back by DEC_STRONG; while it is not 0 we keep the object. `times_received` is
// how often it came from the peer, less what we gave back. A node with neither is forgotten; a session without nodes has no
// reason to go on.
#pragma once
#include <cstdint>
#include <expected>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rpc/binder.h"
#include "rpc/parcel.h"
#include "rpc/session_options.h"
#include "rpc/wire.h"

namespace adyton::rpc {

enum class Side : uint8_t { kClient, kServer };

class NodeTable {
 public:
  using Limits = ObjectLimits;

  // A oneway call, with its target kept alive.
  struct OnewayCall {
    std::shared_ptr<Binder> target;
    uint64_t address = 0;
    uint64_t number = 0;
    uint32_t code = 0;
    uint32_t flags = 0;
    Parcel data;
  };

  // What an operation lets go of: to be destroyed after the session's lock is released.
  struct Released {
    std::shared_ptr<Binder> object;
    std::map<uint64_t, OnewayCall> calls;
    uint32_t give_back = 0;       // references to the object of the address, which nobody here needs any more
    bool table_is_empty = false;  // and became so by this operation
  };

  NodeTable(Side side, Limits limits) : side_(side), limits_(limits) {}

  // --- Objects that leave.
  [[nodiscard]] bool has_room_for(size_t more) const { return nodes_.size() + more <= limits_.nodes; }
  // The address of one of ours, a new one if it has none. Precondition: has_room_for(1).
  uint64_t send_local(const std::shared_ptr<Binder>& object);
  // One of theirs goes back to them, or is called. False if it is not known (the session has ended).
  bool send_remote(uint64_t address);
  // Stamps a oneway call to one of theirs; none when the numbers are used up.
  std::optional<uint64_t> next_async_number(uint64_t address);

  // --- Objects that arrive.
  using MakeProxy = std::function<std::shared_ptr<Binder>(uint64_t address)>;
  // kBadValue: an address that the peer must not use; kNoMemory: too many nodes.
  std::expected<std::shared_ptr<Binder>, TransportError> receive(uint64_t address, const MakeProxy& make_proxy);
  // The target of a call: null unless it is one of ours, and alive.
  std::shared_ptr<Binder> receive_target(uint64_t address);
  // The references to give back for one of ours, whose node may go with them: kept alive by the caller.
  std::pair<uint32_t, Released> give_back(uint64_t address);
  // The last reference to a proxy is gone: what to give back. Nothing if another proxy has taken its place.
  std::pair<uint32_t, Released> proxy_is_gone(uint64_t address, const Binder* proxy);

  // The peer gives references back. An unknown address or a greater amount than it was sent changes nothing, as in AOSP.
  Released drop_sent(uint64_t address, uint32_t amount);

  // --- Oneway calls to ours.
  enum class Turn : uint8_t {
    kNow,        // to be run by the caller, then finish_oneway()
    kLater,      // taken: finish_oneway() of an earlier one yields it
    kViolation,  // a number that was used before, or too many wait
  };
  Turn offer_oneway(OnewayCall& call);
  // One has run. Yields the next one if it has come already; nothing if the object is gone or the numbers are used up.
  std::optional<OnewayCall> finish_oneway(uint64_t address);

  [[nodiscard]] size_t size() const { return nodes_.size(); }
  [[nodiscard]] size_t proxy_count() const { return proxies_; }
  [[nodiscard]] size_t local_count() const { return local_addresses_.size(); }
  [[nodiscard]] size_t queued_bytes() const { return queued_bytes_; }
  // For unit tests: times_sent and times_received.
  [[nodiscard]] std::pair<uint64_t, uint64_t> counts(uint64_t address) const;

  // The session has ended: takes everything out.
  struct Remains {
    std::vector<std::shared_ptr<Binder>> objects;
    std::vector<std::shared_ptr<Binder>> proxies;
    std::vector<OnewayCall> calls;
  };
  Remains clear();

 private:
  struct Node {
    std::weak_ptr<Binder> object;
    const Binder* identity = nullptr;  // null: one of theirs without a proxy, known while it is on its way to them
    bool local = false;
    bool oneway_runs = false;
    uint64_t times_sent = 0;
    uint64_t times_received = 0;
    std::shared_ptr<Binder> sent;  // one of ours, while times_sent > 0
    uint64_t async_number = 0;     // of the next oneway call: to send if it is theirs, to run if it is ours
    std::map<uint64_t, OnewayCall> queue;
  };
  using Nodes = std::unordered_map<uint64_t, Node>;

  Released forget_if_unused(Nodes::iterator node);
  void remember_number(uint64_t address, uint64_t number);
  // The number of the next oneway call to one of theirs that arrives.
  uint64_t recall_number(uint64_t address);

  const Side side_;
  const Limits limits_;
  Nodes nodes_;
  std::unordered_map<const Binder*, uint64_t> local_addresses_;
  // Of theirs that have gone: the number of the next oneway call. An object that the peer had sent again before it heard that we
  // let go of it has not gone for the peer, which counts on. The oldest ones, long settled, are forgotten.
  static constexpr size_t kRemembered = 4096;
  struct LastNumber {
    uint64_t address = 0;
    uint64_t number = 0;
  };
  std::list<LastNumber> last_numbers_;
  std::unordered_map<uint64_t, std::list<LastNumber>::iterator> remembered_;
  uint32_t next_number_ = 0;
  size_t queued_bytes_ = 0;
  size_t proxies_ = 0;  // that are alive
};

}  // namespace adyton::rpc

// What a session is on either side, once it has been set up: connections, objects, and the calls in both directions. Not for
// users of rpc/: see session.h and server.h.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "rpc/call_observer.h"
#include "rpc/connection.h"
#include "rpc/node_table.h"
#include "rpc/session_options.h"
#include "rpc/thread_set.h"

namespace adyton::rpc {

class RemoteBinder;

// Threading: any thread, except where said. Locks: connections_mutex_ and nodes_mutex_ are never held together, nor while user
// code runs.
class SessionCore final : public ObjectSource, public std::enable_shared_from_this<SessionCore> {
 public:
  struct Config {
    Side side = Side::kClient;
    uint32_t version = 0;
    FdPassing fd_passing = FdPassing::kNone;
    size_t max_body_size = kDefaultMaxBodySize;
    ObjectLimits limits;
    std::chrono::milliseconds send_patience{0};
    Caller caller;                           // the peer; `session` is filled in
    std::shared_ptr<CallObserver> observer;  // of the calls that are served here; may be null
    // What a server answers to the session's own calls.
    uint32_t max_threads = 1;
    wire::SessionId id{};
    std::shared_ptr<Binder> root;
    // Hears why a connection that was served here has failed; may be null. On that connection's thread, with no lock held.
    std::function<void(const Error&)> on_fault;
    // Runs once when the session ends, on the thread that ends it, with no lock held.
    std::function<void(SessionCore&)> on_end;
  };

  SessionCore(Config config, std::shared_ptr<ThreadSet> threads);
  ~SessionCore() override;

  // --- Connections. On an outgoing one calls are made from here, on an incoming one they are served.
  // kUnavailable if the session has ended. With reserve, a caller waits for the connection that follows by add_outgoing().
  Result<> reserve_outgoing();
  void add_outgoing(std::shared_ptr<Connection> connection);
  // Serves until the session ends.
  void serve(const std::shared_ptr<Connection>& connection);
  // Serves on a thread of the session's.
  Result<> start_serving(std::shared_ptr<Connection> connection);

  // --- Calls. `target` null: the session itself.
  Status call(RemoteBinder* target, uint32_t code, const Parcel& data, Parcel* reply, uint32_t flags);
  Reply<std::shared_ptr<Binder>> binder_at(uint64_t wire_address) override;

  // --- For RemoteBinder.
  void proxy_is_gone(uint64_t address, const RemoteBinder* proxy);
  // Makes sure that a thread notices the session's end.
  Status watch();

  // --- The end. end() is idempotent and does not wait; `why` is for the callers that are told kDeadObject.
  void end(const std::string& why);
  [[nodiscard]] bool is_alive() const { return !ended_; }
  // end(), and waits for the session's own threads (not for itself, if it is one).
  void end_and_join(const std::string& why);
  // The client's handle is gone: ends as soon as nothing can be reached over this session any more.
  void abandon();

  [[nodiscard]] const Config& config() const { return config_; }
  // For tests.
  [[nodiscard]] size_t node_count() const;

 private:
  class Frame;
  class Lease;
  class ReleaseLater;
  struct Payload;
  using DecStrongs = std::map<uint64_t, uint64_t>;

  Reply<Lease> acquire(bool oneway);
  void release(std::shared_ptr<Connection> connection, bool to_back);

  Status check_sendable(const Parcel& parcel, size_t fixed_size) const;
  Status prepare(const Parcel& parcel, Payload& payload);   // with nodes_mutex_ held; changes nothing if it fails
  DecStrongs take_pending();                                // with nodes_mutex_ held
  void give_back_later(uint64_t address, uint32_t amount);  // with nodes_mutex_ held
  Result<> transmit(Connection& connection, std::span<const uint8_t> head, Payload& payload, const DecStrongs& before);
  Result<bool> flush_pending(Connection& connection);
  bool flush_pending_somewhere();  // false: there is no connection for it

  Result<> await_reply(Connection& connection, Parcel* reply, Status& status);
  Result<> read_reply(Connection& connection, const wire::Header& header, Parcel* reply, Status& status);
  Result<> handle(Connection& connection, const wire::Header& header);
  Result<> handle_transaction(Connection& connection, const wire::Header& header);
  Result<> handle_dec_strong(Connection& connection, const wire::Header& header);
  Result<Parcel> read_parcel(Connection& connection, size_t size, uint32_t parcel_size);
  Result<> run_call(Connection& connection, std::shared_ptr<Binder> target, const wire::Transaction& transaction, Parcel data);
  Result<> run_oneways(Connection& connection, NodeTable::OnewayCall call);
  void observe(Binder& target, uint32_t code, bool oneway, ServedCall::Clock::time_point begin, bool succeeded);
  Status answer_for_session(const wire::Transaction& transaction, Parcel* reply);
  Result<> send_reply(Connection& connection, uint64_t target_address, Status status, const Parcel& reply);

  [[nodiscard]] Status dead() const;
  [[nodiscard]] bool is_unused() const;  // with nodes_mutex_ held

  Config config_;
  const std::shared_ptr<ThreadSet> threads_;
  std::atomic<bool> ended_ = false;
  std::atomic<bool> is_served_ = false;  // a thread reads what the peer sends unasked

  mutable std::mutex connections_mutex_;
  std::condition_variable connection_is_free_;
  std::vector<std::shared_ptr<Connection>> connections_;  // all of them
  std::vector<std::shared_ptr<Connection>> idle_;         // outgoing ones; the next to use is the last
  size_t outgoing_ = 0;
  size_t waiting_ = 0;
  std::string why_ended_;
  bool watched_ = false;

  mutable std::mutex nodes_mutex_;
  NodeTable nodes_;
  bool closed_ = false;  // no object may enter nodes_ any more
  bool abandoned_ = false;
  std::shared_ptr<Binder> root_;
  DecStrongs pending_;  // references to give back that found no connection
  std::atomic<bool> has_pending_ = false;
};

}  // namespace adyton::rpc

// A way of calling that is measured: the same three methods, served by another process or in a guest.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "rpc/endpoint.h"
#include "rpc/session_options.h"

namespace adyton::bench {

inline constexpr int kMaxThreads = 8;
inline constexpr size_t kMaxMessage = 4 << 20;

// Threading: the calls by any number of threads up to kMaxThreads. A call that fails ends the program.
class System {
 public:
  virtual ~System() = default;
  virtual int32_t add(int32_t a, int32_t b) = 0;
  virtual size_t take(const std::string& bytes) = 0;  // returns the size that arrived
  virtual size_t give(size_t size) = 0;               // asks for as many bytes; returns the size that arrived
  // Sends a line over a plain stream, without RPC, and returns the answer; none: the system has no such stream. One thread.
  virtual std::optional<std::string> echo(const std::string&) { return std::nullopt; }
};

// Server: runs until the process is ended. Client: connects to it, waiting until it is there.
using Serve = std::function<void(const std::string& socket_path)>;
using Connect = std::function<std::unique_ptr<System>(const std::string& socket_path)>;

void serve_binder(const std::string& socket_path);
std::unique_ptr<System> connect_binder(const std::string& socket_path);
std::unique_ptr<System> binder_over(const rpc::Connector& calls, const rpc::Connector& echo, rpc::FdPassing passing);
// Starts a VM that serves; the service of that VM has its files in the folder.
std::unique_ptr<System> connect_vm(const std::string& folder);
void serve_grpc(const std::string& socket_path);
std::unique_ptr<System> connect_grpc(const std::string& socket_path);

[[noreturn]] void give_up(const std::string& why);

}  // namespace adyton::bench

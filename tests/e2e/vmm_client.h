// The client's side of adyton-vmm's control socket, for tests: one request after the other.
#pragma once
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "vmm/control/protocol.h"
#include "vmm/control/socket.h"

namespace adyton::e2e {

struct Answer {
  vmm::control::Event event;  // a Reply without an error, a Description or a Statistics
  std::vector<UniqueFd> fds;
};

class VmmClient {
 public:
  explicit VmmClient(vmm::control::Socket& socket) : socket_(socket) {}
  // Streams that the guest opens before the answer stay open, and nobody reads them. kInternal with the VMM's words when it
  // refuses.
  Result<Answer> ask(decltype(vmm::control::Request::body) body, std::span<const int> fds = {});

 private:
  vmm::control::Socket& socket_;
  uint32_t id_ = 0;
  std::vector<UniqueFd> streams_;
};

}  // namespace adyton::e2e

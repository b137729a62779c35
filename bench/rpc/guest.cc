// The payload: serves the calls in a guest.
#include <cstdio>
#include <cstdlib>

#include "bench/rpc/binder_service.h"
#include "bench/rpc/system.h"

namespace adyton::bench {

void give_up(const std::string& why) {
  std::fprintf(stderr, "adyton_rpc_bench in the guest: %s\n", why.c_str());
  std::_Exit(1);
}

}  // namespace adyton::bench

int main() {
  using namespace adyton;
  constexpr uint32_t kAnyCid = UINT32_MAX;
  bench::serve_calls(rpc::VsockAddress{kAnyCid, bench::kCallsPort}, rpc::VsockAddress{kAnyCid, bench::kEchoPort}, false);
}

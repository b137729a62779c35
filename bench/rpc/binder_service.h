// The service that is called over RpcBinder: in a process of the host, or in a guest.
#pragma once
#include <string_view>

#include "rpc/binder.h"
#include "rpc/endpoint.h"

namespace adyton::bench {

// What the AIDL compiler would write, by hand.
inline constexpr std::string_view kCallsDescriptor = "adyton.bench.ICalls";
enum Code : uint32_t { kAdd = rpc::kFirstCall, kTake, kGive };

inline constexpr uint32_t kCallsPort = 7000;  // in a guest
inline constexpr uint32_t kEchoPort = 7001;

// Serves the calls at one place, and lines that come back reversed at the other, until the process is ended.
[[noreturn]] void serve_calls(const rpc::Endpoint& calls, const rpc::Endpoint& echo, bool with_descriptors);

}  // namespace adyton::bench

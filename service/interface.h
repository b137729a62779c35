// Numbers that the service and its clients must agree on, besides the interfaces in aidl/.
#pragma once
#include <cstddef>

namespace adyton::service {

// Of RPC messages, both ways: a payload's arguments and environment (guest::kMaxBodySize) as UTF-16.
inline constexpr size_t kMaxRpcBody = size_t{16} << 20;

// A folder for the socket other than $XDG_RUNTIME_DIR/adyton, mainly for tests.
inline constexpr const char* kRuntimeDirVariable = "ADYTON_RUNTIME_DIR";
inline constexpr const char* kSocketName = "adytond.sock";

// What adytond writes to the descriptor of --ready-fd once clients may connect. At the end of file without it, it could not
// start; what it says on its standard error is why.
inline constexpr char kReadyByte = 'o';

}  // namespace adyton::service

// Sessions over TLS 1.3 with certificates on both sides, for networks that are not trusted (AOSP: RpcTransportTls.cpp).
//
//   auto tls = TRY(TlsContext::create({.certificate_pem = ..., .private_key_pem = ...},
//                                     [known](std::span<const uint8_t> certificate) { return std::ranges::equal(certificate,
//                                     known); }));
//   auto session = Session::connect(TcpAddress{"host", 4000}, {.tls = tls});
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "rpc/transport.h"

namespace adyton::rpc {

// Threading: immutable, any thread. Sessions and servers that use it keep it alive.
class TlsContext {
 public:
  struct Identity {
    std::string certificate_pem;  // the leaf first; what follows is sent as its chain
    std::string private_key_pem;
  };
  // Whether to trust the peer whose leaf certificate this is (DER). Nothing else decides: no authority, name or date is looked
  // at; that the peer has the certificate's key has been proven when the handshake is complete. Runs on threads of sessions,
  // without locks.
  using Verifier = std::function<bool(std::span<const uint8_t> certificate_der)>;

  // kInvalidArgument: not PEM, or the key is not the certificate's.
  static Result<std::shared_ptr<const TlsContext>> create(const Identity& identity, Verifier verifier);
  virtual ~TlsContext() = default;

  // The handshake takes place within the transport's first send() or receive(), and fails there.
  [[nodiscard]] virtual Result<std::unique_ptr<Transport>> connect(UniqueFd socket) const = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<Transport>> accept(UniqueFd socket) const = 0;
};

}  // namespace adyton::rpc

#include "rpc/tls_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "rpc/socket_wait.h"

namespace adyton::rpc {

namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using SslPointer = std::unique_ptr<SSL, Freer<SSL_free>>;
using SslContextPointer = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using BioPointer = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using BioMethodPointer = std::unique_ptr<BIO_METHOD, Freer<BIO_meth_free>>;
using X509Pointer = std::unique_ptr<X509, Freer<X509_free>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

std::string last_error() {
  std::string text = "unknown";
  if (const unsigned long code = ::ERR_peek_last_error(); code != 0) {
    text.assign(256, '\0');
    ::ERR_error_string_n(code, text.data(), text.size());
    text.resize(text.find('\0'));
  }
  ::ERR_clear_error();
  return text;
}

// A socket as OpenSSL sees it. Its own BIO would wait where we must not, and raise SIGPIPE.
int socket_of(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(::BIO_get_data(bio))); }

int bio_result(BIO* bio, ssize_t count, int retry) {
  ::BIO_clear_retry_flags(bio);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) ::BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
  return static_cast<int>(count);
}
int bio_write(BIO* bio, const char* bytes, int size) {
  return bio_result(bio, ::send(socket_of(bio), bytes, static_cast<size_t>(size), MSG_NOSIGNAL | MSG_DONTWAIT), BIO_FLAGS_WRITE);
}
int bio_read(BIO* bio, char* bytes, int size) {
  return bio_result(bio, ::recv(socket_of(bio), bytes, static_cast<size_t>(size), MSG_DONTWAIT), BIO_FLAGS_READ);
}
long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }
int bio_create(BIO* bio) {
  ::BIO_set_init(bio, 1);
  return 1;
}

const BIO_METHOD* socket_method() {
  static const BioMethodPointer method = [] {
    BioMethodPointer made(::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "adyton socket"));
    if (made) {
      ::BIO_meth_set_write(made.get(), bio_write);
      ::BIO_meth_set_read(made.get(), bio_read);
      ::BIO_meth_set_ctrl(made.get(), bio_control);
      ::BIO_meth_set_create(made.get(), bio_create);
    }
    return made;
  }();
  return method.get();
}

class TlsTransport final : public Transport {
 public:
  TlsTransport(UniqueFd socket, SslPointer ssl, std::shared_ptr<const TlsContext> context)
      : socket_(std::move(socket)), context_(std::move(context)), ssl_(std::move(ssl)) {}

  Result<> send(std::span<iovec> parts, std::span<const UniqueFd> fds, Drain* drain,
                std::chrono::milliseconds patience) override {
    if (!fds.empty()) return fail(ErrorCode::kUnsupported, "TLS carries no file descriptors");
    std::vector<uint8_t> bytes;
    for (const iovec& part : parts) {
      const auto* begin = static_cast<const uint8_t*>(part.iov_base);
      bytes.insert(bytes.end(), begin, begin + part.iov_len);
    }
    return send_bytes(bytes, drain, patience);
  }

  Result<bool> try_send(std::span<const uint8_t> bytes, Drain* drain, std::chrono::milliseconds patience) override {
    if ((TRY(wait_for(socket_.get(), POLLOUT, std::chrono::milliseconds{0})) & POLLOUT) == 0) return false;
    if (auto sent = send_bytes(bytes, drain, patience); !sent) return std::unexpected(std::move(sent).error());
    return true;
  }

  Result<size_t> receive(std::span<uint8_t> into, std::vector<UniqueFd>*, std::chrono::milliseconds timeout) override {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (;;) {
      size_t count = 0;
      ::ERR_clear_error();
      const int result = ::SSL_read_ex(ssl_.get(), into.data(), into.size(), &count);
      if (result > 0) return count;
      const short events = TRY(why_not(result));
      auto left = kForever;
      if (timeout.count() >= 0) {
        left = std::max(std::chrono::milliseconds{0},
                        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()));
      }
      if (left.count() == 0 || TRY(wait_for(socket_.get(), events, left)) == 0) return size_t{0};
    }
  }

  void shutdown() override { ::shutdown(socket_.get(), SHUT_RDWR); }
  [[nodiscard]] int fd() const override { return socket_.get(); }

 private:
  Result<> send_bytes(std::span<const uint8_t> bytes, Drain* drain, std::chrono::milliseconds patience) {
    while (!bytes.empty()) {
      size_t count = 0;
      ::ERR_clear_error();
      const int result = ::SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
      if (result > 0) {
        bytes = bytes.subspan(count);
        continue;
      }
      if (TRY(why_not(result)) == POLLOUT) {
        if (auto room = wait_for_room(socket_.get(), drain, patience); !room) return room;
      } else if (TRY(wait_for(socket_.get(), POLLIN, patience.count() > 0 ? patience : kForever)) == 0) {
        // In the handshake.
        return fail(ErrorCode::kUnavailable, "the peer says nothing");
      }
    }
    return {};
  }

  // The event that an operation waits for.
  Result<short> why_not(int result) {
    switch (::SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ: return short{POLLIN};
      case SSL_ERROR_WANT_WRITE: return short{POLLOUT};
      case SSL_ERROR_SSL: return fail(ErrorCode::kUnavailable, "TLS: " + last_error());
      default: return fail(ErrorCode::kUnavailable, "the peer has closed the connection");
    }
  }

  const UniqueFd socket_;
  const std::shared_ptr<const TlsContext> context_;  // whose verifier the handshake calls
  const SslPointer ssl_;
};

class Context final : public TlsContext, public std::enable_shared_from_this<Context> {
 public:
  Context(SslContextPointer context, Verifier verifier) : context_(std::move(context)), verifier_(std::move(verifier)) {
    ::SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    ::SSL_CTX_set_cert_verify_callback(context_.get(), verify, this);
  }

  [[nodiscard]] Result<std::unique_ptr<Transport>> connect(UniqueFd socket) const override {
    return make(std::move(socket), ::SSL_set_connect_state);
  }
  [[nodiscard]] Result<std::unique_ptr<Transport>> accept(UniqueFd socket) const override {
    return make(std::move(socket), ::SSL_set_accept_state);
  }

 private:
  Result<std::unique_ptr<Transport>> make(UniqueFd socket, void (*set_role)(SSL*)) const {
    SslPointer ssl(::SSL_new(context_.get()));
    BioPointer bio(::BIO_new(socket_method()));
    if (!ssl || !bio) return fail(ErrorCode::kExhausted, "TLS: " + last_error());
    ::BIO_set_data(bio.get(), reinterpret_cast<void*>(static_cast<intptr_t>(socket.get())));
    ::SSL_set_bio(ssl.get(), bio.get(), bio.get());
    static_cast<void>(bio.release());
    set_role(ssl.get());
    return std::make_unique<TlsTransport>(std::move(socket), std::move(ssl), shared_from_this());
  }

  static int verify(X509_STORE_CTX* store, void* self) {
    const X509* leaf = ::X509_STORE_CTX_get0_cert(store);
    uint8_t* der = nullptr;
    const int size = leaf ? ::i2d_X509(leaf, &der) : -1;
    if (size < 0) return 0;
    const bool trusted = static_cast<const Context*>(self)->verifier_({der, static_cast<size_t>(size)});
    ::OPENSSL_free(der);
    if (!trusted) ::X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return trusted ? 1 : 0;
  }

  const SslContextPointer context_;
  const Verifier verifier_;
};

BioPointer reader_of(const std::string& text) {
  return BioPointer(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::create(const Identity& identity, Verifier verifier) {
  if (!verifier) return fail(ErrorCode::kInvalidArgument, "TLS without a verifier would trust everybody");
  SslContextPointer context(::SSL_CTX_new(::TLS_method()));
  if (!context) return fail(ErrorCode::kExhausted, "TLS: " + last_error());
  ::SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  ::SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_num_tickets(context.get(), 0);
  ::SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

  const BioPointer certificates = reader_of(identity.certificate_pem);
  const X509Pointer leaf(::PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr));
  if (!leaf || ::SSL_CTX_use_certificate(context.get(), leaf.get()) != 1) {
    return fail(ErrorCode::kInvalidArgument, "the TLS certificate cannot be read: " + last_error());
  }
  while (X509Pointer next{::PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr)}) {
    if (::SSL_CTX_add0_chain_cert(context.get(), next.get()) != 1) {
      return fail(ErrorCode::kInvalidArgument, "the TLS certificate's chain cannot be used: " + last_error());
    }
    static_cast<void>(next.release());
  }
  ::ERR_clear_error();  // that there was no further certificate
  const BioPointer keys = reader_of(identity.private_key_pem);
  const KeyPointer key(::PEM_read_bio_PrivateKey(keys.get(), nullptr, nullptr, nullptr));
  if (!key || ::SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1 || ::SSL_CTX_check_private_key(context.get()) != 1) {
    return fail(ErrorCode::kInvalidArgument, "the TLS key cannot be read, or is not the certificate's: " + last_error());
  }
  return std::make_shared<const Context>(std::move(context), std::move(verifier));
}

}  // namespace adyton::rpc

// Sessions over TLS with certificates that are made here.
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "rpc/testing/raw_peer.h"
#include "rpc/testing/rpc_testing.h"
#include "rpc/tls_context.h"

namespace adyton::rpc {
namespace {

using namespace testing;

struct TestIdentity {
  TlsContext::Identity pem;
  std::vector<uint8_t> der;
};

template <typename Write>
std::string to_pem(Write write) {
  BIO* bio = ::BIO_new(::BIO_s_mem());
  EXPECT_EQ(write(bio), 1);
  char* text = nullptr;
  const long size = ::BIO_get_mem_data(bio, &text);
  std::string pem(text, static_cast<size_t>(size));
  ::BIO_free(bio);
  return pem;
}

// Self-signed.
TestIdentity make_identity(const char* name) {
  TestIdentity identity;
  EVP_PKEY* key = ::EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  X509* certificate = ::X509_new();
  ::X509_set_version(certificate, X509_VERSION_3);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate), 1);
  ::X509_gmtime_adj(::X509_getm_notBefore(certificate), 0);
  ::X509_gmtime_adj(::X509_getm_notAfter(certificate), 3600);
  ::X509_set_pubkey(certificate, key);
  X509_NAME* subject = ::X509_get_subject_name(certificate);
  ::X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  ::X509_set_issuer_name(certificate, subject);
  EXPECT_GT(::X509_sign(certificate, key, nullptr), 0);
  identity.pem.certificate_pem = to_pem([&](BIO* bio) { return ::PEM_write_bio_X509(bio, certificate); });
  identity.pem.private_key_pem =
      to_pem([&](BIO* bio) { return ::PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
  uint8_t* der = nullptr;
  const int size = ::i2d_X509(certificate, &der);
  identity.der.assign(der, der + size);
  ::OPENSSL_free(der);
  ::X509_free(certificate);
  ::EVP_PKEY_free(key);
  return identity;
}

std::shared_ptr<const TlsContext> trusting(const TestIdentity& own, const TestIdentity& other) {
  auto context = TlsContext::create(
      own.pem, [der = other.der](std::span<const uint8_t> certificate) { return std::ranges::equal(certificate, der); });
  EXPECT_TRUE(context) << (context ? "" : context.error().message);
  return context.value_or(nullptr);
}

class Tls : public ::testing::Test {
 protected:
  const TestIdentity client_ = make_identity("client");
  const TestIdentity server_ = make_identity("server");
  const TestIdentity stranger_ = make_identity("stranger");
};

TEST_F(Tls, BothSidesAreKnown) {
  Harness harness({.max_threads = 3, .max_body_size = 4 << 20, .tls = trusting(server_, client_)});
  auto session = harness.connect({.incoming_connections = 1, .max_body_size = 4 << 20, .tls = trusting(client_, server_)});
  ASSERT_TRUE(session);
  auto root = *session->root();
  EXPECT_EQ(call_add(root, 1, 2), 3);
  auto mine = std::make_shared<TestService>();
  EXPECT_EQ(call_recurse(root, mine, 10), 10);
  EXPECT_TRUE(call_keep(root, mine).is_ok());
  EXPECT_TRUE(harness.root->call_kept_from_elsewhere().is_ok());
  // Many records.
  const std::string text(500'000, 'x');
  EXPECT_EQ(call_repeat(root, text, 2).size(), 1'000'000u);
  EXPECT_EQ(call_read_fd(root, ""), to_string(TransportError::kFdsNotAllowed));
}

TEST_F(Tls, ManyThreads) {
  Harness harness({.max_threads = 3, .tls = trusting(server_, client_)});
  auto session = harness.connect({.tls = trusting(client_, server_)});
  ASSERT_TRUE(session);
  auto root = *session->root();
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        if (call_add(root, t, i) != t + i) ++wrong;
        if (!call_note(root, i).is_ok()) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Tls, StrangersAreTurnedAway) {
  const size_t fds = count_fds();
  {
    Harness harness({.tls = trusting(server_, client_)});
    EXPECT_FALSE(harness.try_connect({.tls = trusting(stranger_, server_)}));
    EXPECT_FALSE(harness.try_connect({.tls = trusting(client_, stranger_)}));
    EXPECT_EQ(harness.server.session_count(), 0u);
    EXPECT_NE(harness.connect({.tls = trusting(client_, server_)}), nullptr);
  }
  wait_until([&] { return count_fds() <= fds; });
}

TEST_F(Tls, PlainPeersAreTurnedAway) {
  Harness secure({.handshake_timeout = std::chrono::milliseconds(100), .tls = trusting(server_, client_)});
  EXPECT_FALSE(secure.try_connect({.handshake_timeout = std::chrono::milliseconds(100)}));
  RawPeer silent = RawPeer::connect(secure.address);
  silent.drain();
  Harness plain({.handshake_timeout = std::chrono::milliseconds(100)});
  EXPECT_FALSE(plain.try_connect({.handshake_timeout = std::chrono::milliseconds(100), .tls = trusting(client_, server_)}));
}

// The other side of a handshake, by OpenSSL alone: everything about it is right, but it knows no version above `newest`.
class OtherProgram {
 public:
  OtherProgram(const TestIdentity& identity, int newest) : context_(::SSL_CTX_new(::TLS_method())), ssl_(nullptr) {
    ::SSL_CTX_set_max_proto_version(context_, newest);
    BIO* certificate =
        ::BIO_new_mem_buf(identity.pem.certificate_pem.data(), static_cast<int>(identity.pem.certificate_pem.size()));
    BIO* key = ::BIO_new_mem_buf(identity.pem.private_key_pem.data(), static_cast<int>(identity.pem.private_key_pem.size()));
    X509* leaf = ::PEM_read_bio_X509(certificate, nullptr, nullptr, nullptr);
    EVP_PKEY* secret = ::PEM_read_bio_PrivateKey(key, nullptr, nullptr, nullptr);
    EXPECT_EQ(::SSL_CTX_use_certificate(context_, leaf), 1);
    EXPECT_EQ(::SSL_CTX_use_PrivateKey(context_, secret), 1);
    ::X509_free(leaf);
    ::EVP_PKEY_free(secret);
    ::BIO_free(certificate);
    ::BIO_free(key);
    ssl_ = ::SSL_new(context_);
  }
  ~OtherProgram() {
    ::SSL_free(ssl_);
    ::SSL_CTX_free(context_);
  }
  OtherProgram(const OtherProgram&) = delete;

  bool connect(int socket) { return ::SSL_set_fd(ssl_, socket) == 1 && ::SSL_connect(ssl_) == 1; }
  bool accept(int socket) { return ::SSL_set_fd(ssl_, socket) == 1 && ::SSL_accept(ssl_) == 1; }
  // Why it failed.
  static int reason() { return ERR_GET_REASON(::ERR_peek_last_error()); }

 private:
  SSL_CTX* context_;
  SSL* ssl_;
};

TEST_F(Tls, OlderVersionsAreRefusedByTheServer) {
  Harness harness({.tls = trusting(server_, client_)});
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION}) {
    RawPeer peer = RawPeer::connect(harness.address);
    ::ERR_clear_error();
    EXPECT_FALSE(OtherProgram(client_, version).connect(peer.fd())) << version;
    if (version == TLS1_2_VERSION) { EXPECT_EQ(OtherProgram::reason(), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION); }
  }
  // It is the version, and nothing else.
  RawPeer peer = RawPeer::connect(harness.address);
  EXPECT_TRUE(OtherProgram(client_, TLS1_3_VERSION).connect(peer.fd()));
}

TEST_F(Tls, OlderVersionsAreRefusedByTheClient) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    UniqueFd ours(ends[0]);
    bool accepted = false;
    int reason = 0;
    std::thread server([&, theirs = UniqueFd(ends[1])] {
      OtherProgram other(server_, version);
      accepted = other.accept(theirs.get());
      reason = OtherProgram::reason();
    });
    // Which then says nothing: there is a session in neither case.
    EXPECT_FALSE(Session::connect(connector_of(std::move(ours)), {.tls = trusting(client_, server_)}));
    server.join();
    EXPECT_EQ(accepted, version == TLS1_3_VERSION);
    if (!accepted) { EXPECT_EQ(reason, SSL_R_UNSUPPORTED_PROTOCOL); }
  }
}

TEST_F(Tls, ShutdownDoesNotWaitForAHandshake) {
  Harness harness({.handshake_timeout = std::chrono::hours(1), .tls = trusting(server_, client_)});
  RawPeer silent = RawPeer::connect(harness.address);
  wait_until([&] { return harness.server.connection_count() == 1; });
  harness.server.shutdown();
  EXPECT_TRUE(silent.is_closed());
}

TEST_F(Tls, BadIdentities) {
  const auto anybody = [](std::span<const uint8_t>) { return true; };
  EXPECT_FALSE(TlsContext::create({}, anybody));
  EXPECT_FALSE(TlsContext::create({.certificate_pem = client_.pem.certificate_pem, .private_key_pem = "no key"}, anybody));
  EXPECT_FALSE(TlsContext::create(
      {.certificate_pem = client_.pem.certificate_pem, .private_key_pem = server_.pem.private_key_pem}, anybody));
  EXPECT_FALSE(TlsContext::create(client_.pem, nullptr));
}

}  // namespace
}  // namespace adyton::rpc

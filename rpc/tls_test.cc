// Sessions over TLS with certificates that are made here.
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
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

#include "common_encryption.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>

#include <algorithm>
#include <string_view>

namespace drm {
namespace {

using adyton::ErrorCode;
using adyton::fail;
using adyton::Result;

constexpr size_t kPublicKeySize = 32;
constexpr size_t kNonceSize = 12;
constexpr size_t kGcmTagSize = 16;

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;

CipherContext cipher_context() { return {EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free}; }

std::unexpected<adyton::Error> broken(const char* what) {
  return fail(ErrorCode::kInternal, std::string("OpenSSL cannot ") + what);
}

// 32 bytes from a secret, RFC 5869; `purpose` keeps keys of different use apart.
Result<std::array<uint8_t, 32>> derive(std::span<const uint8_t> secret, std::string_view purpose) {
  const KeyContext context(EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr), &EVP_PKEY_CTX_free);
  std::array<uint8_t, 32> key{};
  size_t size = key.size();
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 || EVP_PKEY_CTX_set_hkdf_md(context.get(), EVP_sha256()) != 1 ||
      EVP_PKEY_CTX_set1_hkdf_key(context.get(), secret.data(), static_cast<int>(secret.size())) != 1 ||
      EVP_PKEY_CTX_add1_hkdf_info(context.get(), reinterpret_cast<const uint8_t*>(purpose.data()),
                                  static_cast<int>(purpose.size())) != 1 ||
      EVP_PKEY_derive(context.get(), key.data(), &size) != 1) {
    return broken("derive a key");
  }
  return key;
}

Result<void> update(EVP_CIPHER_CTX* context, std::span<uint8_t> bytes) {
  int written = 0;
  if (bytes.empty()) return {};
  if (EVP_DecryptUpdate(context, bytes.data(), &written, bytes.data(), static_cast<int>(bytes.size())) != 1 ||
      static_cast<size_t>(written) != bytes.size()) {
    return broken("decrypt");
  }
  return {};
}

// Calls `decrypt` for each encrypted part of the frame's copy.
template <typename Decrypt>
Result<Bytes> decrypt_parts(const EncryptedFrame& frame, const Decrypt& decrypt) {
  Bytes copy(frame.bytes.begin(), frame.bytes.end());
  std::span<uint8_t> rest(copy);
  if (frame.subsamples.empty()) TRY(decrypt(rest));
  for (const Subsample& part : frame.subsamples) {
    if (uint64_t{part.clear} + part.encrypted > rest.size())
      return fail(ErrorCode::kCorrupt, "the parts of a frame do not add up to its size");
    TRY(decrypt(rest.subspan(part.clear, part.encrypted)));
    rest = rest.subspan(size_t{part.clear} + part.encrypted);
  }
  return copy;
}

}  // namespace

ContentKey::ContentKey(std::span<const uint8_t, kKeySize> bytes) : bytes_() { std::ranges::copy(bytes, bytes_.begin()); }
ContentKey::~ContentKey() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

SessionKey::SessionKey(EVP_PKEY* key) : key_(key, &EVP_PKEY_free) {}

Result<SessionKey> SessionKey::make() {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519");
  if (key == nullptr) return broken("make a key pair");
  return SessionKey(key);
}

Result<Bytes> SessionKey::public_key() const {
  Bytes bytes(kPublicKeySize);
  size_t size = bytes.size();
  if (EVP_PKEY_get_raw_public_key(key_.get(), bytes.data(), &size) != 1) return broken("read the public key");
  return bytes;
}

Result<std::unique_ptr<ContentKey>> SessionKey::unwrap(std::span<const uint8_t> sender, std::span<const uint8_t> nonce,
                                                       std::span<const uint8_t> wrapped, std::span<const uint8_t> key_id) const {
  if (sender.size() != kPublicKeySize || nonce.size() != kNonceSize || wrapped.size() != kKeySize + kGcmTagSize) {
    return fail(ErrorCode::kInvalidArgument, "a part of the licence has the wrong size");
  }
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> peer(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, sender.data(), sender.size()), &EVP_PKEY_free);
  const KeyContext agreement(EVP_PKEY_CTX_new(key_.get(), nullptr), &EVP_PKEY_CTX_free);
  std::array<uint8_t, 32> shared{};
  size_t size = shared.size();
  if (!peer || !agreement || EVP_PKEY_derive_init(agreement.get()) != 1) return broken("agree on a key");
  // Fails for the few public keys that give everybody the same secret (RFC 7748, 6.1).
  if (EVP_PKEY_derive_set_peer(agreement.get(), peer.get()) != 1 || EVP_PKEY_derive(agreement.get(), shared.data(), &size) != 1) {
    return fail(ErrorCode::kPermission, "the licence's sender has no usable key");
  }
  auto wrapping_key = TRY(derive(shared, "com.example.drm licence"));
  OPENSSL_cleanse(shared.data(), shared.size());

  const CipherContext context = cipher_context();
  std::array<uint8_t, kKeySize> key{};
  std::array<uint8_t, kGcmTagSize> tag{};
  std::ranges::copy(wrapped.last(kGcmTagSize), tag.begin());
  int written = 0;
  const bool unwrapped =
      context && EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, wrapping_key.data(), nonce.data()) == 1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &written, key_id.data(), static_cast<int>(key_id.size())) == 1 &&
      EVP_DecryptUpdate(context.get(), key.data(), &written, wrapped.data(), static_cast<int>(kKeySize)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kGcmTagSize, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(context.get(), key.data() + kKeySize, &written) == 1;
  OPENSSL_cleanse(wrapping_key.data(), wrapping_key.size());
  std::unique_ptr<ContentKey> result;
  if (unwrapped) result = std::make_unique<ContentKey>(key);
  OPENSSL_cleanse(key.data(), key.size());
  if (!result) return fail(ErrorCode::kPermission, "the licence is for another session, or was changed on its way");
  return result;
}

Result<bool> is_authentic(const ContentKey& key, std::span<const uint8_t> segment, std::span<const uint8_t> tag) {
  auto mac_key = TRY(derive(key.bytes(), "com.example.drm segment"));
  std::array<uint8_t, kTagSize> expected{};
  unsigned size = 0;
  const bool made = HMAC(EVP_sha256(), mac_key.data(), static_cast<int>(mac_key.size()), segment.data(), segment.size(),
                         expected.data(), &size);
  OPENSSL_cleanse(mac_key.data(), mac_key.size());
  if (!made || size != kTagSize) return broken("authenticate");
  return tag.size() == kTagSize && CRYPTO_memcmp(tag.data(), expected.data(), kTagSize) == 0;
}

Result<Bytes> decrypt_cenc(const ContentKey& key, const EncryptedFrame& frame) {
  if (frame.iv.size() != 8 && frame.iv.size() != kBlockSize) return fail(ErrorCode::kCorrupt, "a frame has no IV of its own");
  std::array<uint8_t, kBlockSize> counter{};
  std::ranges::copy(frame.iv, counter.begin());
  const CipherContext context = cipher_context();
  if (!context || EVP_DecryptInit_ex(context.get(), EVP_aes_128_ctr(), nullptr, key.bytes().data(), counter.data()) != 1) {
    return broken("decrypt");
  }
  return decrypt_parts(frame, [&](std::span<uint8_t> part) { return update(context.get(), part); });
}

Result<Bytes> decrypt_cbcs(const ContentKey& key, std::span<const uint8_t> iv, Pattern pattern, const EncryptedFrame& frame) {
  if (iv.size() != kBlockSize) return fail(ErrorCode::kInvalidArgument, "the constant IV has 16 bytes");
  if (pattern.crypt_blocks > 15 || pattern.skip_blocks > 15)
    return fail(ErrorCode::kInvalidArgument, "a pattern has at most 15 blocks of a kind");
  if (pattern.crypt_blocks == 0) pattern = {.crypt_blocks = 1, .skip_blocks = 0};
  const CipherContext context = cipher_context();
  if (!context) return broken("decrypt");
  return decrypt_parts(frame, [&](std::span<uint8_t> part) -> Result<void> {
    if (EVP_DecryptInit_ex(context.get(), EVP_aes_128_cbc(), nullptr, key.bytes().data(), iv.data()) != 1 ||
        EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1) {
      return broken("decrypt");
    }
    while (part.size() >= kBlockSize) {
      const size_t crypt = std::min<size_t>(pattern.crypt_blocks, part.size() / kBlockSize) * kBlockSize;
      TRY(update(context.get(), part.first(crypt)));
      part = part.subspan(crypt);
      part = part.subspan(std::min<size_t>(pattern.skip_blocks * kBlockSize, part.size()));
    }
    return {};
  });
}

Result<Bytes> sha256(std::span<const uint8_t> bytes) {
  Bytes digest(32);
  size_t size = digest.size();
  if (EVP_Q_digest(nullptr, "SHA256", nullptr, bytes.data(), bytes.size(), digest.data(), &size) != 1)
    return broken("make a digest");
  return digest;
}

}  // namespace drm

// Common Encryption (ISO/IEC 23001-7) and the keys around it, on OpenSSL. Used by the payload, which decrypts.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "fragment.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace drm {

inline constexpr size_t kKeySize = 16;
inline constexpr size_t kBlockSize = 16;
inline constexpr size_t kTagSize = 32;

// 16 bytes that are wiped when they are no longer needed.
class ContentKey {
 public:
  explicit ContentKey(std::span<const uint8_t, kKeySize> bytes);
  ~ContentKey();
  ContentKey(const ContentKey&) = delete;
  ContentKey& operator=(const ContentKey&) = delete;
  [[nodiscard]] std::span<const uint8_t, kKeySize> bytes() const { return bytes_; }

 private:
  std::array<uint8_t, kKeySize> bytes_;
};

// The session's key pair, X25519. The private half has no way out.
class SessionKey {
 public:
  static adyton::Result<SessionKey> make();
  [[nodiscard]] adyton::Result<Bytes> public_key() const;

  // The key that was wrapped to this session. kPermission: it was not, or was changed.
  [[nodiscard]] adyton::Result<std::unique_ptr<ContentKey>> unwrap(std::span<const uint8_t> sender,
                                                                   std::span<const uint8_t> nonce,
                                                                   std::span<const uint8_t> wrapped,
                                                                   std::span<const uint8_t> key_id) const;

 private:
  explicit SessionKey(EVP_PKEY* key);
  std::shared_ptr<EVP_PKEY> key_;
};

// Whether `tag` is the segment's HMAC-SHA256, with a key that HKDF-SHA256 makes of the content key. Common Encryption has no
// integrity.
adyton::Result<bool> is_authentic(const ContentKey& key, std::span<const uint8_t> segment, std::span<const uint8_t> tag);

// 'cenc': the counter runs on from one encrypted part of the frame to the next. An IV of 8 bytes is the upper half of the
// counter.
adyton::Result<Bytes> decrypt_cenc(const ContentKey& key, const EncryptedFrame& frame);

struct Pattern {
  uint32_t crypt_blocks = 0;  // with skip_blocks 0 too: every block
  uint32_t skip_blocks = 0;
};

// 'cbcs': each encrypted part begins anew with the IV; what is left of it at the end, less than a block, is not encrypted.
adyton::Result<Bytes> decrypt_cbcs(const ContentKey& key, std::span<const uint8_t> iv, Pattern pattern,
                                   const EncryptedFrame& frame);

adyton::Result<Bytes> sha256(std::span<const uint8_t> bytes);

}  // namespace drm

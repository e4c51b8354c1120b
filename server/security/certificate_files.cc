#include "server/security/certificate_files.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "config/text_file.h"

namespace evenkeel::security {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;

struct PemFile {
  const char* field;
  const std::string& path;

  absl::Status Refused(absl::string_view why) const {
    return absl::InvalidArgumentError(absl::StrCat("tls.", field, ": ", path, " ", why));
  }
};

// A key with a passphrase is none: there is nobody to ask for it.
int NoPassphrase(char*, int, int, void*) { return -1; }

Bio Open(const std::string& pem) { return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

// The first certificate of `pem`, where all are well-formed.
absl::StatusOr<Certificate> FirstCertificate(const PemFile& file, const std::string& pem) {
  const Bio bio = Open(pem);
  Certificate first;
  while (Certificate next{PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr)}) {
    if (first == nullptr) first = std::move(next);
  }
  const bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (first == nullptr) return file.Refused("holds no certificate in PEM");
  if (!is_at_end) return file.Refused("holds a certificate that is malformed or cut off");
  return first;
}

absl::Status CheckPair(const PemFile& chain_file, const PemFile& key_file, const Certificates& certificates) {
  EVENKEEL_ASSIGN_OR_RETURN(const Certificate certificate, FirstCertificate(chain_file, certificates.chain));
  const Key key(PEM_read_bio_PrivateKey(Open(certificates.private_key).get(), nullptr, NoPassphrase, nullptr));
  const bool is_pair = key != nullptr && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (key == nullptr) return key_file.Refused("holds no private key in PEM, or one with a passphrase");
  if (!is_pair) return key_file.Refused(absl::StrCat("is not the key of the certificate in ", chain_file.path));
  if (X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0) {
    return chain_file.Refused("holds a certificate that has expired");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Certificates> ReadCertificates(const v1::Tls& tls) {
  Certificates certificates;
  EVENKEEL_ASSIGN_OR_RETURN(certificates.chain, config::ReadTextFile(tls.certificate()));
  EVENKEEL_ASSIGN_OR_RETURN(certificates.private_key, config::ReadTextFile(tls.private_key()));
  EVENKEEL_RETURN_IF_ERROR(
      CheckPair({"certificate", tls.certificate()}, {"private_key", tls.private_key()}, certificates));
  if (!tls.has_client_ca()) return certificates;
  EVENKEEL_ASSIGN_OR_RETURN(certificates.client_ca, config::ReadTextFile(tls.client_ca()));
  EVENKEEL_RETURN_IF_ERROR(FirstCertificate({"client_ca", tls.client_ca()}, certificates.client_ca).status());
  return certificates;
}

}  // namespace evenkeel::security

#include "server/security/test_certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/check.h"

namespace evenkeel::security {
namespace {

// What a BIO holds; frees it.
std::string Take(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  const std::string text(bytes, size);
  BIO_free(bio);
  return text;
}

std::string Pem(X509* certificate) {
  BIO* const bio = BIO_new(BIO_s_mem());
  EVENKEEL_CHECK(PEM_write_bio_X509(bio, certificate) == 1);
  return Take(bio);
}

std::string Pem(EVP_PKEY* key) {
  BIO* const bio = BIO_new(BIO_s_mem());
  EVENKEEL_CHECK(PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return Take(bio);
}

void AddExtension(X509* certificate, int kind, const std::string& value) {
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
  EVENKEEL_CHECK(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509* NewCertificate(const TestCa::Request& request, EVP_PKEY* key) {
  X509* const certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  uint64_t serial = 0;
  EVENKEEL_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) == 1);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), request.valid_from);
  X509_gmtime_adj(X509_getm_notAfter(certificate), request.valid_to);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(request.name.c_str()), -1, -1, 0);
  std::string sans;
  for (const std::string& san : request.sans) sans += (sans.empty() ? "" : ",") + san;
  if (!sans.empty()) AddExtension(certificate, NID_subject_alt_name, sans);
  return certificate;
}

}  // namespace

struct TestCa::Impl {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = nullptr;
};

TestCa::TestCa(const std::string& name) : impl_(std::make_unique<Impl>()) {
  Request request;
  request.name = name;
  impl_->certificate = NewCertificate(request, impl_->key);
  X509_set_issuer_name(impl_->certificate, X509_get_subject_name(impl_->certificate));
  AddExtension(impl_->certificate, NID_basic_constraints, "critical,CA:TRUE");
  EVENKEEL_CHECK(X509_sign(impl_->certificate, impl_->key, EVP_sha256()) > 0);
  certificate_ = Pem(impl_->certificate);
}

TestCa::~TestCa() {
  X509_free(impl_->certificate);
  EVP_PKEY_free(impl_->key);
}

TestCertificate TestCa::Issue(const Request& request) const {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = NewCertificate(request, key);
  X509_set_issuer_name(certificate, X509_get_subject_name(impl_->certificate));
  EVENKEEL_CHECK(X509_sign(certificate, impl_->key, EVP_sha256()) > 0);
  const TestCertificate issued = {Pem(certificate), Pem(key)};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return issued;
}

TestCertificate TestCa::IssueServer() const {
  Request request;
  request.name = "coordinator";
  request.sans = {"DNS:localhost", "IP:127.0.0.1", "IP:::1"};
  return Issue(request);
}

TestCertificate TestCa::IssueClient(const std::string& san) const {
  Request request;
  request.name = "client";
  request.sans = {san};
  return Issue(request);
}

}  // namespace evenkeel::security

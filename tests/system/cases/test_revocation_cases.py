#!/usr/bin/env python3
"""Certificates that were taken back: a whole issuing CA, and a number of a CA that another one gave, too.

  test_revocation_cases.py BUILD
"""

import datetime
import glob
import ipaddress
import sys

from stage import Case, main

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    print("skipped: python3-cryptography is not installed")
    sys.exit(77)

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc)


class Ca:
    def __init__(self, name, above=None, number=1):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.chain = b"" # what a holder of its certificates shows with them
        self.certificate = (above or self).sign(self.name, self.key.public_key(), number, [(x509.BasicConstraints(True, None), True)])
        if above:
            self.chain = pem(self.certificate) + above.chain

    def sign(self, name, public_key, number, extensions):
        builder = (x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(public_key)
                   .serial_number(number).not_valid_before(NOW - DAY).not_valid_after(NOW + 30 * DAY)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())

    def took_back(self, *numbers):
        """Its list, PEM."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(NOW - DAY).next_update(NOW + 30 * DAY)
        for number in numbers:
            revoked = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(NOW).build()
            builder = builder.add_revoked_certificate(revoked)
        return pem(builder.sign(self.key, hashes.SHA256()))


def pem(thing):
    return thing.public_bytes(serialization.Encoding.PEM)


class Revocation(Case):
    def again(self, stem, ca, number):
        """A party's certificate anew, of that CA: the key and the names stay."""
        with open(f"{self.fed.pki}/{stem}.pem", "rb") as f:
            before = x509.load_pem_x509_certificate(f.read())
        names = before.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        if not names.get_values_for_type(x509.IPAddress):
            names = x509.SubjectAlternativeName([*names, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        fresh = ca.sign(before.subject, before.public_key(), number,
                        [(names, False), (uses, False), (x509.BasicConstraints(False, None), True)])
        with open(f"{self.fed.pki}/{stem}.pem", "wb") as f:
            f.write(pem(fresh) + ca.chain)

    def issue_all(self, ca_file, usual, other, others):
        """Everybody anew: those of `others` by `other`, with that number. The rest count from 20."""
        with open(f"{self.fed.pki}/ca.pem", "wb") as f:
            f.write(ca_file)
        for count, path in enumerate(sorted(glob.glob(f"{self.fed.pki}/*.pem"))):
            stem = path.rpartition("/")[2][:-4]
            if stem in others:
                self.again(stem, other, others[stem])
            elif stem != "ca":
                self.again(stem, usual, 20 + count)

    def start(self, lists):
        with open(f"{self.fed.pki}/lists", "wb") as f:
            f.write(lists)
        self.start_hubs(lambda text: text.replace("identity:\n", f"identity:\n  revocation_file: {self.fed.pki}/lists\n", 1))

    def test_an_issuing_ca_that_was_taken_back(self):
        root = Ca("root")
        good, bad = Ca("good", root, 2), Ca("bad", root, 3)
        self.issue_all(pem(root.certificate), good, bad, {"device-000": 50})
        self.start(root.took_back(3) + good.took_back())
        turned_away = self.device(0, self.good, "--patience-ms", "1000")
        code, lines, err = self.heard(turned_away)
        self.assertEqual((code, lines), (4, []), err)
        self.assertIn("revoked", err)
        self.play_without_the_first()

    def play_without_the_first(self):
        devices = [self.device(number, self.good) for number in (1, 2)]
        code, text = self.operator("round", "open", "--deadline-ms", "60000", "--wait")
        self.assertEqual(code, 0, text)
        self.assertEqual([self.heard(device)[0] for device in devices], [0, 0])

    def test_a_number_of_another_ca(self):
        """A change of CAs of one name; the old one took its number 10 back, which is device 0's by the new one."""
        old, new = Ca("Federation CA"), Ca("Federation CA")
        self.issue_all(pem(old.certificate) + pem(new.certificate), new, new, {"device-000": 10})
        self.again("device-001", old, 11)
        self.again("device-002", old, 10)
        self.start(old.took_back(10) + new.took_back())
        code, lines, err = self.heard(self.device(2, self.good, "--patience-ms", "1000"))
        self.assertEqual((code, lines), (4, []), err)
        self.play(self.good)


if __name__ == "__main__":
    main()

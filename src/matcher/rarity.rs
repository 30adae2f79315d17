//! How common four bytes are in the text of the web, by and large.
//!
//! Counted in half of the pages of the test data, in lower case (HTML, French and English for the most part): the cost of
//! a byte is the number of bits that say it, given the byte before. Only the order matters: a set of literals looks for
//! the rarest bytes of each.

/// Letters are classes of their own; digits are one, a blank and `/.-="` one each, then other ASCII, then the rest.
const CLASSES: usize = 35;
const MARKS: &[u8; 6] = b" /.-=\"";

/// Quarters of a bit, from `0` on, of a byte at the beginning.
const FIRST: &[u8; CLASSES] = b"CKGGBJJIDSPFIEEHTEECJLMQMT@6IHHJF@S";

/// The same of a byte (across) behind another (down).
const NEXT: [&[u8; CLASSES]; CLASSES] = [
    b"LFCASNBVEVO?A=OEU===HHQOGRIARJDTNCZ",
    b"?IJO=NJMDGI<LG;NN@DF?QPQFP?HNNJSNEU",
    b"@QKH@PRAFTB:PM9NS@K>FTVTMTCJNKDGPF^",
    b">NME;NGS9SSKMHBOVHFEGPSVHTF>RJEBA@U",
    b"CJEBICMOIVVDC=KKN=@@QIHFMWI>MHECB?Y",
    b"?HMMCAQP>QRANL<LSAHE?SNPMO??RLG>IB]",
    b"BILP:PG@?SRDNDCLN@CEGORMIMI>CHEMA@X",
    b"=MQO9RQR>QPOOK@OR>O;GPRQLTABNNFFIAY",
    b"DI@>EEBWTXQCB:?DRH@>N?WPVJNGUPSTVCY",
    b"=GII?IHIFGHHHIB?FH9JBIJIFIAEMOZROGV",
    b"FJJK=LCK@KKHHGIKJHAEBLKIHJA=EFCH??Y",
    b":ROI:QRJ;UU?PP>QVTFFERSVFVHCOJEIHA[",
    b"<DPL8SDTBOPEGK??TQGMJSRUMRDCBEEOHBY",
    b"@OB?>L?RFUFKPICNTQB;EPUVOUM=NEDIE>S",
    b"KHDDTDDXKTJ?@9CCX=DAAICIUPNCRKJSNIb",
    b":PJN<TJEETTBRH?FW@A?DUUDOUKFOOIPJ<W",
    b"FIHIHHEHIIHGHIGJJIIH5JIIHI@ANIPLLCf",
    b">PCF9ODS=VKHIG?PWHEBFLSVEUM?KJFKG@V",
    b"HRBQ?QSDBXOLKSD?TH<=HKQXJYJ?ECD=F?W",
    b">NMI=JX>=XYFJM@DYBFAGVLWAYOAKGEFE?U",
    b"FCGG>OHLERK=@=CDV<?=SQSLNQHFPPHUQGZ",
    b":LNQ:QDP=IQONRDPQHNMPSPQNPA;UIEQQ;Y",
    b"@GJM@NNB:QOMLECKPDALOM<ONOBAK>FPHCf",
    b"HEFHGMKGHJLFDKGAMLG;JKKIIL?>JGBBB<^",
    b"FKNNGMNMIPN>EFA:PKDGMPGMOMD;GBBFE>S",
    b"DJGJ;IGH?FIE=HAHHHGHIIGFDH?ANPGX@Ff",
    b"KJGMLHSKSSRMQRRKTQORRKTPTM4?I<A\\F@c",
    b"LQJNSPTON[\\SRRQQ^QMKVTQ]ZbI1VWVTTE^",
    b"=FC>HFJEBHVAFKLBTL<AIMCQSUAL>RXqGAq",
    b"GG>JHEHHGGRHIKHDTJEGIGMSZ_4DSOlrQGZ",
    b"DCAGGFHEBSSCDHHDUEABKMFQVX9F^>>lOGl",
    b"NVORJLUMOX_TSLRQbHRHUXY\\[gE?WgYD2Ap",
    b"HKCJJHGBCRWJFHLG]IGBKHOX][C:ETVRI6_",
    b"DKIFGHNKGTWGJHNILHDCKLPTZ[@8=KLO@:X",
    b"LSIQLQRYOaXLLNHLYGCFWTTa^hOAaRahPF2",
];

/// How rare the bytes are side by side: quarters of a bit.
pub fn rarity(bytes: &[u8]) -> u32 {
    let (Some(&first), rest) = (bytes.first(), bytes.windows(2)) else { return 0 };
    let quarters = |text: &[u8; CLASSES], class: usize| u32::from(text[class] - b'0');
    quarters(FIRST, class(first)) + rest.map(|pair| quarters(NEXT[class(pair[0])], class(pair[1]))).sum::<u32>()
}

fn class(b: u8) -> usize {
    match b {
        b'a'..=b'z' => usize::from(b - b'a'),
        b'0'..=b'9' => 26,
        b'\t' | b'\n' | b'\r' => 27,
        128.. => 34,
        _ => MARKS.iter().position(|&mark| mark == b).map_or(33, |place| 27 + place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_bytes_cost_more_than_common_ones() {
        for (rare, common) in [(b"xxqz", b"tion"), (b"jkwz", b"http"), (b" kzx", b" the")] {
            assert!(rarity(rare) > rarity(common));
        }
        assert_eq!(rarity(b""), 0);
        assert!((0..=255u8).all(|b| class(b) < CLASSES));
    }
}

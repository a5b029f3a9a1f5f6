"""The words of `code_words` in the languages beyond its ten, by what they mean.

Czech, Danish, Finnish, Greek, Hungarian, Indonesian, Norwegian, Romanian, Russian, Swedish,
Turkish, Ukrainian, Vietnamese; Arabic, Hebrew, Hindi, Korean and Thai.
"""

CODE_WORDS = (
    r"kl[ií]č(?:e|em)?",
    r"(?:jednorázov|dočasn)[éý]\w* hesl[oa]",
    r"kod(?:unuz|unu|umuz|ları?)",
    r"(?:tek kullanımlık|geçici|onay) (?:şifre\w*|parola\w*)",
    r"(?:одноразовый |временный |разовый )?пароль|пин[- ]?код",
    r"[a-zäö]*koodi(?:si|nne|a|n|lla)?",
    r"kód(?:ja|ot|od|unk)?",
    r"codul|codului|cod de (?:verificare|acces|securitate|confirmare)|parola de unică folosință",
    r"κωδικ(?:ός|ό|ού|οί)",
    r"mã (?:xác (?:thực|minh|nhận)|otp|bảo mật|đăng nhập)",
    r"kode (?:verifikasi|otp|keamanan|masuk|akses)|kata sandi sekali pakai",
    r"รหัส(?:ยืนยัน|ผ่าน|ความปลอดภัย|otp)?",
    r"(?:ال)?رمز|كود (?:التحقق|التفعيل|الدخول)|كلمة (?:ال)?(?:مرور|سر) (?:لمرة واحدة|المؤقتة|مؤقتة)",
    r"קוד|סיסמה (?:חד[- ]פעמית|זמנית)",
    r"कोड|ओटीपी",
    r"(?:보안|확인|승인|접속|로그인)\s?(?:번호|코드)|일회용\s?비밀번호|임시\s?비밀번호",
)
PURPOSE_WORDS = (
    r"для входа|войти|вход[ау]?|подтвер\w+|для входу|увійти|підтверд\w+",
    r"přihl[aá][sš]\w+|ověř\w+|potvr\w+",
    r"logga in|inloggning\w*|bekräft\w+|verifier\w+|log(?:ge)? (?:ind?|på)|bekræft\w+|bekreft\w+",
    r"giriş|oturum aç\w*|doğrula\w*|onayla\w*",
    r"kirjau\w+|vahvist\w+|bejelentkez\w+|ellenőrz\w+|megerősít\w+|autentific\w+|verific\w+|conectare",
    r"σύνδεσ\w+|επαλήθευσ\w+|επιβεβαίωσ\w+|đăng nhập|xác (?:thực|minh|nhận)|masuk|verifikasi",
    r"เข้าสู่ระบบ|ยืนยัน|تسجيل الدخول|تأكيد|للتحقق|להתחבר|כניסה|אימות|लॉगिन|सत्यापन|सत्यापित",
    r"aan te melden|in te loggen|te bevestigen|te verifiëren|zu bestätigen|zu verifizieren|freizuschalten",
    r"로그인|인증|본인\s?확인|가입",
)
VERBS = (
    r"введите|используйте|укажите|введіть|використайте|zadejte|použijte|opište",
    r"ange|använd|skriv in|indtast|brug|tast inn|bruk|girin(?:iz)?|kullanın(?:ız)?",
    r"syötä|anna|käytä|írja be|adja meg|használja|introduceți|folosiți|εισαγάγετε|πληκτρολογήστε",
    r"read(?: out)?|paste|copy|tell|übertrage|überträgst|tippe|recopiez|copiez|copia|digite|cole|typ|tik|przepisz|skopiuj",
    r"nhập|sử dụng|masukkan|gunakan|ใส่|กรอก|أدخل|استخدم|הזן|הקלד|दर्ज करें",
)
# A number that a sentence has been about, not one of something else.
THIS_NUMBER = (
    r"(?<!call )(?<!dial )(?<!text )(?:this|the following) number(?: is)?|the digits are|diese (?:zahl|nummer|ziffern)|folgende (?:zahl|nummer|ziffern)",
    r"(?:ce|le) numéro(?: suivant)?|ces chiffres|est[ea] número|estos números|questo numero|queste cifre|estes números",
    r"(?:dit|deze) (?:nummer|cijfers)(?: nog nodig)?|tego numeru|ten numer|te cyfry|этот номер|эти цифры|toto číslo|detta nummer",
    r"(?:次|以下)の(?:番号|数字)(?:が必要です|を入力)?|(?:以下|下列|此)(?:号码|数字)|필요한 번호",
)
# Where a number is to be entered: with a verb, that is what a code is for.
SCREENS = (
    r"(?:in|into|on) (?:the|your|our) (?:app|page|site|website|screen|browser|form|box|window)",
    r"in der app|auf der (?:seite|website)|im (?:browser|formular)|dans l'app(?:lication|li)?|sur (?:le site|la page)",
    r"en la (?:app|aplicación|página|web)|nell'app(?:licazione)?|sul sito|no (?:app|aplicativo|site)|na (?:app|página)",
    r"in de app|op de (?:website|pagina)|w aplikacji|na stronie|в приложении|на сайте|у застосунку|v aplikaci|na stránce",
    r"i appen|på (?:sidan|siden)|uygulama(?:da|ya)|sovelluk\w+|アプリ|画面|在(?:应用|页面|网页|手机)|앱|화면",
)
# What follows the number where the verb comes last.
VERBS_BEHIND = (r"girin|kullanın|दर्ज|डालें|입력|を入力|をご入力|을\s?입력|를\s?입력",)
OTHER_CODES = (
    r"код(?:а|ом|у)? (?:ошибки|страны|города|товара|региона|помилки|країни)|почтов\w+ (?:код|индекс)|поштов\w+ індекс",
    r"промо-?код(?:а|ом|у)?|штрих-?код(?:а|ом|у)?|qr-?код(?:а|ом|у)?",
    r"kód (?:chyby|země|produktu)|(?:slevov|poštovní|chybov|čárov)\w* kód\w*",
    r"(?:rabatt|fel|post|streck|lands|rabat|fejl|feil|stregk|alennus|virhe|posti)[-]?(?:kod|kode|koodi)\w*",
    r"(?:hata|posta|indirim|kampanya|barkod|ülke)\s?kod\w*",
    r"(?:hiba|kupon|irányító)\s?kód\w*|cod (?:poștal|promoțional|de eroare|de reducere)|κωδικ\w+ (?:σφάλματος|έκπτωσης)",
    r"mã (?:lỗi|giảm giá|bưu chính|đơn hàng)|kode (?:pos|promo|kesalahan|diskon|error)|รหัส(?:ส่วนลด|ไปรษณีย์|ข้อผิดพลาด)",
    r"(?:رمز|كود) (?:الخصم|الخطأ|البريد\w*|المنتج|الترويج\w*)|קוד (?:הנחה|שגיאה|קופון)|(?:पिन|एरर|त्रुटि|कूपन) कोड",
    r"(?:오류|에러|할인|쿠폰|우편|상품|초대|추천)\s?(?:코드|번호)",
)
LABELS = (
    r"заказ(?:а|у)?(?: №)?|сч[её]т(?:а|у)?|накладная|обращени[ея]|заявк[аи]|телефон|тел|кабинет|индекс|квартира|дом|замовлення|рахунок|ттн",
    r"objednávk[ay]|faktur[ay]|zásilk[ay]|účet|účtu|beställning|faktura|ärende|kollinummer|rum|ordre|kundenummer|sak|sag",
    r"sipariş|fatura|takip(?: no)?|talep(?: no)?|oda|tilaus|tilauksesi|lasku|asiakasnumero|rendelés|számla|comand[aă]|factur[aă]",
    r"παραγγελία|τιμολόγιο|đơn hàng|hóa đơn|pesanan|tagihan|คำสั่งซื้อ",
    r"(?:رقم )?(?:الطلب|طلبك|الفاتورة|التتبع)(?: رقم)?|غرفة|هاتف|הזמנה|חשבונית|ऑर्डर|अनुरोध संख्या|बिल",
    r"주문\s?번호|운송장\s?번호|문의\s?번호|예약\s?번호|고객\s?번호|계좌(?:\s?번호)?|청구서|전화",
)
OVER = (
    r"больше не действ\w+|устарел|прежний код|более недействител\w+|již neplat\w+|gäller inte längre|gælder ikke længere",
    r"geçersiz|süresi dol\w+|ei ole enää voimassa|lejárt|nu mai este valabil|만료|انتهت صلاحية",
)
LINK_WORDS = (
    r"подтверд|активир|войти|підтверд|aktivujte|ověř|potvrďte|přihlás|bekräft|aktivera|logga in|bekræft|bekreft|aktiver",
    r"doğrula|dogrula|onayla|etkinleştir|giriş yap|vahvista|aktivoi|megerősít|aktiválás|confirmaț|activaț|επιβεβαι|επαληθ",
    r"xác (?:nhận|thực|minh)|kích hoạt|verifikasi|konfirmasi|aktifkan|ยืนยัน|تأكيد|تفعيل|אמת|לאישור|सत्यापित|पुष्टि",
    r"인증|확인|활성화|완료",
)
